// Checks a log that Interdict wrote by Go's own implementation (golang.org/x/mod/sumdb, which serves Go's checksum
// database): every leaf and tile against the checkpoint, proofs both ways, a receipt. Reads jobs from standard input,
// one a line, and answers each with one line: "ok ..." or "refused: ...".
package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// witness verifies cosignatures (C2SP tlog-cosignature), which x/mod does not know.
type witness struct {
	name string
	id   uint32
	key  ed25519.PublicKey
}

func (w *witness) Name() string    { return w.name }
func (w *witness) KeyHash() uint32 { return w.id }
func (w *witness) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	time := binary.BigEndian.Uint64(sig)
	return ed25519.Verify(w.key, append([]byte(fmt.Sprintf("cosignature/v1\ntime %d\n", time)), msg...), sig[8:])
}

func verifier(vkey string) (note.Verifier, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("no verifier key")
	}
	data, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(data) != 33 {
		return nil, errors.New("no verifier key")
	}
	if data[0] != 4 {
		return note.NewVerifier(vkey)
	}
	hash := sha256.Sum256(append([]byte(parts[0]+"\n"), data...))
	id := binary.BigEndian.Uint32(hash[:])
	if fmt.Sprintf("%08x", id) != parts[1] {
		return nil, errors.New("another id")
	}
	return &witness{parts[0], id, data[1:]}, nil
}

// checkpoint opens a note by keys, all of which must have signed it, the log's being the first.
func checkpoint(msg []byte, vkeys []string) (tlog.Tree, error) {
	var known []note.Verifier
	for _, vkey := range vkeys {
		v, err := verifier(vkey)
		if err != nil {
			return tlog.Tree{}, err
		}
		known = append(known, v)
	}
	n, err := note.Open(msg, note.VerifierList(known...))
	if err != nil {
		return tlog.Tree{}, err
	}
	if len(n.Sigs) != len(known) {
		return tlog.Tree{}, fmt.Errorf("%d of %d keys have signed", len(n.Sigs), len(known))
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[0] != known[0].Name() {
		return tlog.Tree{}, errors.New("no checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// files reads tiles of C2SP tlog-tiles: as x/mod has them, but for the height that is not in the path.
type files struct{ dir string }

func (f files) Height() int                     { return 8 }
func (f files) SaveTiles([]tlog.Tile, [][]byte) {}
func (f files) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(f.dir, path))
		if os.IsNotExist(err) && tile.W < 256 {
			tile.W = 256
			data, err = os.ReadFile(filepath.Join(f.dir, strings.Replace(tile.Path(), "tile/8/", "tile/", 1)))
		}
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

// log checks all of a folder: its checkpoint, every leaf, and that the tree of old leaves is its beginning.
func log(dir string, old int64, vkeys []string) (string, error) {
	msg, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return "", err
	}
	tree, err := checkpoint(msg, vkeys)
	if err != nil {
		return "", err
	}
	hashes := tlog.TileHashReader(tree, files{dir})
	var stored []tlog.Hash
	own := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var list []tlog.Hash
		for _, index := range indexes {
			list = append(list, stored[index])
		}
		return list, nil
	})
	for n := int64(0); n < tree.N; {
		width := tree.N - n
		if width > 256 {
			width = 256
		}
		path := strings.Replace(tlog.Tile{H: 8, L: 0, N: n / 256, W: int(width)}.Path(), "tile/8/0/", "tile/entries/", 1)
		bundle, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			return "", err
		}
		for ; width > 0; width, n = width-1, n+1 {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				return "", fmt.Errorf("%s ends early", path)
			}
			length := 2 + int(binary.BigEndian.Uint16(bundle))
			leaf := tlog.RecordHash(bundle[2:length])
			bundle = bundle[length:]
			list, err := tlog.StoredHashesForRecordHash(n, leaf, own)
			if err != nil {
				return "", err
			}
			stored = append(stored, list...)
			proof, err := tlog.ProveRecord(tree.N, n, hashes)
			if err != nil {
				return "", err
			}
			if err := tlog.CheckRecord(proof, tree.N, tree.Hash, n, leaf); err != nil {
				return "", fmt.Errorf("leaf %d: %v", n, err)
			}
		}
		if len(bundle) != 0 {
			return "", fmt.Errorf("%s has more than its leaves", path)
		}
	}
	root, err := tlog.TreeHash(tree.N, own)
	if err != nil {
		return "", err
	}
	if root != tree.Hash {
		return "", errors.New("the leaves give another root")
	}
	before, err := tlog.TreeHash(old, own)
	if err != nil {
		return "", err
	}
	proof, err := tlog.ProveTree(tree.N, old, hashes)
	if err != nil {
		return "", err
	}
	if err := tlog.CheckTree(proof, tree.N, tree.Hash, old, before); err != nil {
		return "", err
	}
	return fmt.Sprintf("ok %d %s %s", tree.N, tree.Hash, before), nil
}

// receipt checks a C2SP tlog-proof whose leaf is the SHA-256 of its extra.
func receipt(path string, vkeys []string) (string, error) {
	msg, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	head, signed, found := bytes.Cut(msg, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !found || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" ||
		!strings.HasPrefix(lines[1], "extra ") || !strings.HasPrefix(lines[2], "index ") {
		return "", errors.New("no receipt")
	}
	extra, err := base64.StdEncoding.DecodeString(lines[1][6:])
	if err != nil {
		return "", err
	}
	index, err := strconv.ParseInt(lines[2][6:], 10, 64)
	if err != nil {
		return "", err
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return "", err
		}
		proof = append(proof, hash)
	}
	tree, err := checkpoint(signed, vkeys)
	if err != nil {
		return "", err
	}
	leaf := sha256.Sum256(extra)
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(leaf[:])); err != nil {
		return "", err
	}
	return fmt.Sprintf("ok %d", index), nil
}

func main() {
	jobs := bufio.NewScanner(os.Stdin)
	jobs.Buffer(nil, 1<<20)
	for jobs.Scan() {
		words := strings.Fields(jobs.Text())
		answer, err := "", errors.New("unknown job")
		switch words[0] {
		case "log":
			old, _ := strconv.ParseInt(words[2], 10, 64)
			answer, err = log(words[1], old, words[3:])
		case "receipt":
			answer, err = receipt(words[1], words[2:])
		}
		if err != nil {
			answer = "refused: " + strings.ReplaceAll(err.Error(), "\n", " ")
		}
		fmt.Println(answer)
	}
}
