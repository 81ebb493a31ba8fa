"""python/park: python/noop, but blocked inside main until it is released by closing its standard input: what memory is
measured with."""

import os


def main():
    while os.read(0, 1):
        pass


if __name__ == "__main__":
    main()
