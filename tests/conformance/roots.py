"""The roots that pymerkle has for a list of leaves: reads lines of hex, writes the root of the first n for every n."""

import sys

from pymerkle import InmemoryTree

tree = InmemoryTree(algorithm="sha256")
roots = [tree.get_root(0) if hasattr(tree, "get_root") else b""]
for line in sys.stdin:
    tree.append_entry(bytes.fromhex(line.strip()))
    roots.append(tree.get_root())
print("\n".join(root.hex() for root in roots))
