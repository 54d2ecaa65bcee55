"""What every process builds once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from heliograph.config import Settings
from heliograph.core.vault import Secrets
from heliograph.runtime import read_vault


def test_one_key_however_many_begin(tmp_path: Path) -> None:
    """Processes that begin an installation at the same moment end up with the same key, and leave no drafts."""
    for round_ in range(30):
        settings = Settings(home=str(tmp_path / str(round_)))
        with ThreadPoolExecutor(4) as pool:
            vaults = list(pool.map(read_vault, [settings] * 4))
        sealed = vaults[0].seal(Secrets("token", "app secret"))
        assert [vault.unseal(sealed).token for vault in vaults] == ["token"] * 4
        assert [path.name for path in settings.home_path.iterdir()] == ["secret.key"]
        assert (settings.home_path / "secret.key").stat().st_mode & 0o777 == 0o600
