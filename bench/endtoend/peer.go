package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"neurotriage/classifier/model"
)

// measurePeer times the Python pipeline on the same files with the same model.
func measurePeer(ctx context.Context, o options, folder string, r *result) error {
	network := filepath.Join(folder, "model.onnx")
	if err := os.WriteFile(network, model.ONNX(), 0o644); err != nil {
		return err
	}
	for setting, least := range map[string]float64{"default": 3, "tuned": 1.2} {
		var seconds []float64
		for range max(1, o.rounds/3) {
			answer, err := askPeer(ctx, o.python, network, setting, folder)
			if err != nil {
				return err
			}
			if answer.Slices != r.Slices {
				return fmt.Errorf("it read %d slices where we read %d", answer.Slices, r.Slices)
			}
			seconds = append(seconds, answer.Seconds)
		}
		name := "Python, " + setting + " session"
		r.Times[name] = median(seconds)
		r.Figures = append(r.Figures, figure{
			Name: "times as fast as " + name, Value: r.Times[name] / r.Times["end to end"], Limit: least, Least: true,
		})
	}
	return nil
}

// peerAnswer is what bench/peers/pipeline.py prints.
type peerAnswer struct {
	Slices  int     `json:"slices"`
	Seconds float64 `json:"seconds"`
}

func askPeer(ctx context.Context, python, network, setting, folder string) (peerAnswer, error) {
	command := exec.CommandContext(ctx, python, "bench/peers/pipeline.py", "--model", network, "--setting", setting, folder)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return peerAnswer{}, err
	}
	var answer peerAnswer
	return answer, json.Unmarshal(out, &answer)
}
