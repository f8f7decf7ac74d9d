// Checks a log with nothing but golang.org/x/mod: note opens its notes, tlog its records, proofs and tiles.
//
// Usage: interop VKEY COMMAND ..., where COMMAND is
//
//	checkpoint FILE              open a checkpoint
//	note FILE                    open any note by that key, such as an entry
//	proof FILE ENTRY             check a tlog-proof of the entry in the file ENTRY
//	tiles DIR                    check every record of DIR/checkpoint from the tiles in DIR, and each older tree in it
//
// It prints what it found and ends with 0, or with 1 and the reason.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if len(os.Args) < 4 {
		fail(fmt.Errorf("usage: interop VKEY checkpoint|note|proof|tiles ..."))
	}
	verifier, err := note.NewVerifier(os.Args[1])
	if err != nil {
		fail(err)
	}
	arguments := os.Args[3:]
	switch os.Args[2] {
	case "checkpoint":
		tree, err := openCheckpoint(read(arguments[0]), verifier)
		report(err, "%d %s\n", tree.N, tree.Hash)
	case "note":
		opened, err := note.Open(read(arguments[0]), note.VerifierList(verifier))
		if err != nil {
			fail(err)
		}
		fmt.Print(opened.Text)
	case "proof":
		index, size, err := checkProof(string(read(arguments[0])), read(arguments[1]), verifier)
		report(err, "%d %d\n", index, size)
	case "tiles":
		records, err := checkTiles(arguments[0], verifier)
		report(err, "%d\n", records)
	default:
		fail(fmt.Errorf("no such command: %s", os.Args[2]))
	}
}

// openCheckpoint reads the three lines of C2SP tlog-checkpoint, as tlog.ParseTree reads those of the Go checksum database.
func openCheckpoint(data []byte, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(data, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	origin, rest, _ := strings.Cut(opened.Text, "\n")
	if origin != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("the checkpoint is of %q", origin)
	}
	return tlog.ParseTree([]byte("go.sum database tree\n" + rest))
}

func checkProof(proof string, entry []byte, verifier note.Verifier) (index, size int64, err error) {
	header, rest, found := strings.Cut(proof, "\n\n")
	if !found {
		return 0, 0, fmt.Errorf("the proof has no empty line")
	}
	lines := strings.Split(header, "\n")
	if len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return 0, 0, fmt.Errorf("this is no tlog-proof")
	}
	if _, err := fmt.Sscanf(lines[1], "index %d", &index); err != nil {
		return 0, 0, err
	}
	var hashes tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return 0, 0, err
		}
		hashes = append(hashes, hash)
	}
	tree, err := openCheckpoint([]byte(rest), verifier)
	if err != nil {
		return 0, 0, err
	}
	return index, tree.N, tlog.CheckRecord(hashes, tree.N, tree.Hash, index, tlog.RecordHash(entry))
}

// checkTiles proves every record, and that the tree began with each smaller one.
func checkTiles(dir string, verifier note.Verifier) (int64, error) {
	tree, err := openCheckpoint(read(filepath.Join(dir, "checkpoint")), verifier)
	if err != nil {
		return 0, err
	}
	hashes := tlog.TileHashReader(tree, &reader{dir})
	records, err := readRecords(dir, tree.N)
	if err != nil {
		return 0, err
	}
	for index, record := range records {
		proof, err := tlog.ProveRecord(tree.N, int64(index), hashes)
		if err != nil {
			return 0, fmt.Errorf("record %d: %v", index, err)
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, int64(index), tlog.RecordHash(record)); err != nil {
			return 0, fmt.Errorf("record %d: %v", index, err)
		}
	}
	for size := int64(1); size < tree.N; size++ {
		old, err := tlog.TreeHash(size, hashes)
		if err != nil {
			return 0, err
		}
		proof, err := tlog.ProveTree(tree.N, size, hashes)
		if err != nil {
			return 0, err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, size, old); err != nil {
			return 0, fmt.Errorf("the tree of %d: %v", size, err)
		}
	}
	return tree.N, nil
}

// readRecords reads the entry bundles: C2SP's are the data tiles of the Go checksum database with a length before each.
func readRecords(dir string, size int64) ([][]byte, error) {
	var records [][]byte
	for first := int64(0); first < size; first += 256 {
		width := size - first
		if width > 256 {
			width = 256
		}
		data := read(filepath.Join(dir, path("entries", first/256, int(width))))
		for len(data) > 0 {
			if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
				return nil, fmt.Errorf("the bundle of %d ends in the middle of an entry", first)
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			records, data = append(records, data[2:end]), data[end:]
		}
	}
	if int64(len(records)) != size {
		return nil, fmt.Errorf("the bundles hold %d entries of %d", len(records), size)
	}
	return records, nil
}

type reader struct{ dir string }

func (r *reader) Height() int                         { return 8 }
func (r *reader) SaveTiles(_ []tlog.Tile, _ [][]byte) {}
func (r *reader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var data [][]byte
	for _, tile := range tiles {
		data = append(data, read(filepath.Join(r.dir, path(fmt.Sprint(tile.L), tile.N, tile.W))))
	}
	return data, nil
}

// path is C2SP's: the checksum database's own, but for the height, which C2SP leaves out.
func path(level string, number int64, width int) string {
	name := tlog.Tile{H: 8, L: 0, N: number, W: width}.Path()
	return "tile/" + level + "/" + strings.TrimPrefix(name, "tile/8/0/")
}

func read(name string) []byte {
	data, err := os.ReadFile(name)
	if err != nil {
		fail(err)
	}
	return data
}

func report(err error, format string, values ...any) {
	if err != nil {
		fail(err)
	}
	fmt.Printf(format, values...)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
