"""python/noop: the Python function whose start is timed."""


def main():
    pass


if __name__ == "__main__":
    main()
