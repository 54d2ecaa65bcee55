"""`python -m heliograph.emulators.cloud_api`: the same program as `heliograph emulator cloud-api`."""

from heliograph.emulators.cli import cloud_api

if __name__ == "__main__":
    cloud_api(prog_name="python -m heliograph.emulators.cloud_api")
