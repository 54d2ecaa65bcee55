"""`python -m heliograph` is `heliograph`."""

from heliograph.cli.main import main

main(prog_name="heliograph")
