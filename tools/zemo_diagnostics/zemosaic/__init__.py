"""The ZeMosaic under test: what a checkout has, and how its functions are run, in a process that is not ours.

`checkout` looks, `interpreter` finds who can run it, `jobs` says what is to be run, `child` runs it, `runner` is what
runs there, and `versions` holds what the known versions do, as data. `functions_under_test` are the bundled ones.
"""
