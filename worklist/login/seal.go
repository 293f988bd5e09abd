package login

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// keyLength is the least length of a key's line, in bytes: guessing one must be
// as hard as guessing what it seals.
const keyLength = 32

// seals closes and opens cookies. The first key closes; all of them open, so
// that a new key can be put before the old one.
type seals []cipher.AEAD

// newSeals makes seals of lines of text.
func newSeals(lines []string) (seals, error) {
	var s seals
	for _, line := range lines {
		if len(line) < keyLength {
			return nil, fmt.Errorf("a session key has %d bytes, at least %d are needed", len(line), keyLength)
		}
		key := sha256.Sum256([]byte("neurotriage session\n" + line))
		block, err := aes.NewCipher(key[:])
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		s = append(s, aead)
	}
	if len(s) == 0 {
		return nil, errors.New("there is no session key")
	}
	return s, nil
}

// close seals a value for a purpose; it opens for no other one.
func (s seals) close(purpose string, value any) (string, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("sealing a %s: %w", purpose, err)
	}
	return base64.RawURLEncoding.EncodeToString(s[0].Seal(nil, nil, text, []byte(purpose))), nil
}

var errSeal = errors.New("it was not sealed here")

func (s seals) open(purpose, sealed string, value any) error {
	data, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return errSeal
	}
	for _, one := range s {
		if text, err := one.Open(nil, nil, data, []byte(purpose)); err == nil {
			return json.Unmarshal(text, value)
		}
	}
	return errSeal
}

// Keys reads session keys from a file, one a line, the newest first.
func Keys(path string) ([]string, error) {
	text, err := os.ReadFile(path) //nolint:gosec // named by the configuration
	if err != nil {
		return nil, fmt.Errorf("reading the session keys: %w", err)
	}
	return strings.Fields(string(text)), nil
}

// OwnKeys is Keys of a file that is made, with a key, where there is none.
func OwnKeys(path string) ([]string, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // below the state directory
	if errors.Is(err, os.ErrExist) {
		return Keys(path)
	}
	if err != nil {
		return nil, fmt.Errorf("making a session key: %w", err)
	}
	key := rand.Text() + rand.Text()
	_, err = file.WriteString(key + "\n")
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("storing a session key: %w", errors.Join(err, os.Remove(path)))
	}
	return []string{key}, nil
}
