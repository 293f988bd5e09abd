// Package library knows which ONNX Runtime libraries the project was built
// against, fetches them through npm or pip by package name, checks each file by
// its SHA-256 and keeps it in the project's cache. It needs no cgo, opens no
// connection of its own, and works offline once a library is in the cache.
package library
