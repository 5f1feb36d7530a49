"""Every bit of a receipt flipped, each by the verifier that we ship: argv is its folder, a receipt, a policy, and how
many bytes to step by. Prints how many were tried; names the first that was accepted."""

import sys

sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
from verify_receipt import Policy, Refused, verify  # noqa: E402

with open(sys.argv[2], "rb") as file:
    receipt = file.read()
with open(sys.argv[3], "rb") as file:
    policy = Policy(file.read())
verify(receipt, policy)
tried = 0
for place in range(0, len(receipt), int(sys.argv[4])):
    for bit in range(8):
        changed = bytearray(receipt)
        changed[place] ^= 1 << bit
        tried += 1
        try:
            verify(bytes(changed), policy)
        except Refused:
            continue
        sys.exit(f"accepted with byte {place} bit {bit} flipped")
print(tried)
