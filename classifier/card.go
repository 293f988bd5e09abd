package classifier

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"neurotriage"
)

// Keys of the card, the golden scores and the graph's SHA-256 in the ONNX metadata.
const (
	cardKey   = "neurotriage.card"
	goldenKey = "neurotriage.golden"
	graphKey  = "neurotriage.graph"
)

// Package is an ONNX file with what travels in it.
type Package struct {
	ONNX   []byte
	Model  neurotriage.Model // with its digest
	Golden Golden
	Graph  string // digest of the graph with its weights, as exported; "" in a file without one
}

// port is an input or an output of the network as the ONNX graph declares it.
type port struct {
	Name    string
	Float32 bool
	Shape   []int64 // -1 where the graph leaves the extent open
}

// Unpack reads the card and the golden scores out of an ONNX file and checks
// both against the graph's own inputs and outputs, and the graph against its
// digest: of a damaged weight the golden scores may tell little. It needs no
// ONNX Runtime.
func Unpack(onnx []byte) (Package, error) {
	graph, err := readONNX(onnx)
	if err != nil {
		return Package{}, fmt.Errorf("reading the ONNX file: %w", err)
	}
	p := Package{ONNX: onnx}
	if err := decodeProperty(graph, cardKey, &p.Model); err != nil {
		return Package{}, err
	}
	if err := decodeProperty(graph, goldenKey, &p.Golden); err != nil {
		return Package{}, err
	}
	p.Model.Digest, p.Graph = digest(onnx), graph.properties[graphKey]
	if p.Graph != "" {
		if found := digest(graph.graph); found != p.Graph {
			return Package{}, fmt.Errorf("checking the weights: the graph's digest is %s, %s was exported; copy the file again", found, p.Graph)
		}
	}
	if err := errors.Join(Check(p.Model), p.Golden.check(len(p.Model.Labels)), checkPorts(p.Model, graph)); err != nil {
		return Package{}, err
	}
	return p, nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func decodeProperty(graph onnxFile, key string, into any) error {
	text, ok := graph.properties[key]
	if !ok {
		return fmt.Errorf("reading the ONNX metadata: %q is missing; a model made by `make train` has it", key)
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("reading %q of the ONNX metadata: %w", key, err)
	}
	return nil
}

// checkPorts holds the card against the graph: a wrong name would be noticed at
// the first run only, and a wrong shape perhaps never.
func checkPorts(m neurotriage.Model, graph onnxFile) error {
	side, labels := int64(m.Input.Size), int64(len(m.Labels))
	return errors.Join(
		checkPort("input.name", m.Input.Name, graph.inputs, 1, side, side),
		checkPort("outputs.logits", m.Outputs.Logits, graph.outputs, labels),
		checkPort("outputs.cams", m.Outputs.CAMs, graph.outputs, labels, -1, -1),
		checkPort("outputs.ood", m.Outputs.OOD, graph.outputs),
	)
}

// checkPort wants float32 of open first extent and then the extents given, where
// -1 allows any; the graph may leave any extent open.
func checkPort(key, name string, ports []port, extents ...int64) error {
	i := slices.IndexFunc(ports, func(p port) bool { return p.Name == name })
	if i < 0 {
		var have []string
		for _, p := range ports {
			have = append(have, p.Name)
		}
		return fmt.Errorf("%s: the graph has no %q, only %q", key, name, have)
	}
	found := ports[i]
	if !found.Float32 {
		return fmt.Errorf("%s: %q is not float32", key, name)
	}
	fits := len(found.Shape) == 1+len(extents) && found.Shape[0] == -1
	for i, want := range extents {
		fits = fits && (want == -1 || found.Shape[1+i] == -1 || found.Shape[1+i] == want)
	}
	if !fits {
		return fmt.Errorf("%s: %q has shape %v, %v is wanted (-1 is any)", key, name, found.Shape, append([]int64{-1}, extents...))
	}
	return nil
}

// onnxFile is the little of an ONNX ModelProto that is read here.
type onnxFile struct {
	properties      map[string]string
	graph           []byte // the GraphProto, weights and all
	inputs, outputs []port
}

// Field numbers of onnx.proto, which ONNX never reuses.
const (
	modelGraph, modelProperties         = 7, 14
	propertyKey, propertyValue          = 1, 2
	graphInput, graphOutput             = 11, 12
	valueName, valueType                = 1, 2
	typeTensor                          = 1
	tensorElement, tensorShape          = 1, 2
	shapeDimension, dimensionValue      = 1, 1
	elementFloat32                 uint = 1
)

func readONNX(data []byte) (onnxFile, error) {
	file := onnxFile{properties: map[string]string{}}
	err := fields(data, func(number protowire.Number, value []byte, _ uint64) error {
		switch number {
		case modelGraph:
			file.graph = value
			return fields(value, func(number protowire.Number, value []byte, _ uint64) error {
				var err error
				switch number {
				case graphInput:
					file.inputs, err = appendPort(file.inputs, value)
				case graphOutput:
					file.outputs, err = appendPort(file.outputs, value)
				}
				return err
			})
		case modelProperties:
			var pair [2]string
			err := fields(value, func(number protowire.Number, value []byte, _ uint64) error {
				if number == propertyKey || number == propertyValue {
					pair[number-1] = string(value)
				}
				return nil
			})
			file.properties[pair[0]] = pair[1]
			return err
		}
		return nil
	})
	return file, err
}

func appendPort(ports []port, data []byte) ([]port, error) {
	var p port
	err := fields(data, func(number protowire.Number, value []byte, _ uint64) error {
		switch number {
		case valueName:
			p.Name = string(value)
		case valueType:
			return nested(value, typeTensor, p.readTensor)
		}
		return nil
	})
	return append(ports, p), err
}

// readTensor takes one field of a tensor type.
func (p *port) readTensor(number protowire.Number, value []byte, scalar uint64) error {
	switch number {
	case tensorElement:
		p.Float32 = uint(scalar) == elementFloat32
	case tensorShape:
		return fields(value, func(number protowire.Number, value []byte, _ uint64) error {
			if number == shapeDimension {
				p.Shape = append(p.Shape, -1)
				return fields(value, p.readExtent)
			}
			return nil
		})
	}
	return nil
}

// readExtent takes the extent of the last dimension; a named one stays open.
func (p *port) readExtent(number protowire.Number, _ []byte, scalar uint64) error {
	if number == dimensionValue {
		p.Shape[len(p.Shape)-1] = int64(scalar)
	}
	return nil
}

// nested visits the fields of the one sub-message named.
func nested(data []byte, name protowire.Number, visit func(protowire.Number, []byte, uint64) error) error {
	return fields(data, func(number protowire.Number, value []byte, _ uint64) error {
		if number != name {
			return nil
		}
		return fields(value, visit)
	})
}

// fields visits the fields of a protobuf message: value holds what is delimited
// by length, scalar what is a varint; fields of other types are passed over.
func fields(data []byte, visit func(number protowire.Number, value []byte, scalar uint64) error) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return fmt.Errorf("not a protobuf message: %w", protowire.ParseError(n))
		}
		data = data[n:]
		var value []byte
		var scalar uint64
		switch kind {
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(data)
		case protowire.VarintType:
			scalar, n = protowire.ConsumeVarint(data)
		default:
			n = protowire.ConsumeFieldValue(number, kind, data)
		}
		if n < 0 {
			return fmt.Errorf("field %d of a protobuf message: %w", number, protowire.ParseError(n))
		}
		data = data[n:]
		if kind != protowire.BytesType && kind != protowire.VarintType {
			continue
		}
		if err := visit(number, value, scalar); err != nil {
			return err
		}
	}
	return nil
}
