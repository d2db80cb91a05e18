"""IDN-6: what is sealed is read with its own key, for its own place, by its own purpose alone."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backend.bootstrap.secret import secret_of
from backend.bootstrap.settings import WrongSetting, load
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.kernel.sealing import SealBroken, Sealer

KEY, OTHER = b"k" * 32, b"o" * 32


def test_what_is_sealed_comes_back_and_shows_nothing() -> None:
    sealer = Sealer(lambda: KEY, "webhooks")
    sealed = sealer.seal("whsec_secret", "tnt;1")
    assert "whsec_secret" not in sealed
    assert sealed != sealer.seal("whsec_secret", "tnt;1")
    assert sealer.unseal(sealed, "tnt;1") == "whsec_secret"


def test_another_key_place_purpose_or_hand_reads_nothing() -> None:
    sealer = Sealer(lambda: KEY, "webhooks")
    sealed = sealer.seal("whsec_secret", "tnt;1")
    for other, place, text in (
        (Sealer(lambda: OTHER, "webhooks"), "tnt;1", sealed),
        (Sealer(lambda: KEY, "others"), "tnt;1", sealed),
        (sealer, "tnt;2", sealed),
        (sealer, "tnt;1", sealed[:-4] + "AAAA"),
        (sealer, "tnt;1", ""),
        (sealer, "tnt;1", "s1.\u00e4"),
        (sealer, "tnt;1", "s1.AA"),
    ):
        with pytest.raises(SealBroken):
            other.unseal(text, place)


def test_the_installations_secret_is_made_once_and_for_this_user_alone(tmp_path: Path) -> None:
    settings = load({}, environ={"AUTOWEAVE_DATA": str(tmp_path / "data")}, file=tmp_path / "none.toml")
    with ThreadPoolExecutor(16) as threads:
        found = set(threads.map(lambda _: secret_of(settings), range(64)))
    assert len(found) == 1
    [file] = (tmp_path / "data").iterdir()
    assert (file.name, stat.S_IMODE(file.stat().st_mode)) == ("secret.key", 0o600)


def test_a_secret_of_the_settings_comes_first_and_must_be_long(tmp_path: Path) -> None:
    environ = {"AUTOWEAVE_DATA": str(tmp_path), "AUTOWEAVE_SECRET_KEY": "s" * 32}
    assert secret_of(load({}, environ=environ, file=tmp_path / "none.toml")) == b"s" * 32
    assert not (tmp_path / "secret.key").exists()
    with pytest.raises(WrongSetting, match="AUTOWEAVE_SECRET_KEY"):
        load({}, environ=environ | {"AUTOWEAVE_SECRET_KEY": "short"}, file=tmp_path / "none.toml")


def test_a_data_folder_that_cannot_be_written_to_is_told_with_what_to_do(tmp_path: Path) -> None:
    settings = load({}, environ={"AUTOWEAVE_DATA": str(tmp_path / "data")}, file=tmp_path / "none.toml")
    (tmp_path / "data").write_bytes(b"no folder")
    with pytest.raises(Unavailable) as told:
        secret_of(settings)
    assert "AUTOWEAVE_SECRET_KEY" in told.value.hint
    assert os.path.isfile(tmp_path / "data")  # noqa: PTH113 - nothing else was made
