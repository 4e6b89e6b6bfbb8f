"""``mpiedge`` with command lines, a JSON list of lists of words, one after the other in one job."""

import json
import sys

from mpiedge.__main__ import main

if __name__ == "__main__":
    codes = [main(words) for words in json.loads(sys.argv[1])]
    sys.exit(max(codes))
