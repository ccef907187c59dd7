"""Runs a folder's tests as `python -m unittest discover` does; those that need GGUF are skipped.

Arguments: the folder, the pattern of its files. GGUF is not part of our builds, and MLX's tests
don't ask whether it is there.
"""

import sys
import unittest

# Tests of other things that write a GGUF file too.
WRITE_GGUF = {"test_load.TestLoad.test_non_contiguous"}


def flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


def main(folder, pattern):
    suite = unittest.TestSuite(
        flat(unittest.defaultTestLoader.discover(folder, pattern))
    )
    for test in suite:
        name = test.id()
        if "gguf" in name.rsplit(".", 1)[-1] or name in WRITE_GGUF:
            method = test._testMethodName
            skipped = unittest.skip("GGUF is not built")(getattr(test, method))
            setattr(test, method, skipped)
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    sys.exit(not result.wasSuccessful())


main(*sys.argv[1:])
