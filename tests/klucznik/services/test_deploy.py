"""Hooks of renewals: in order, once when they end well, again when they do not; with nothing of ours in their hands."""

import io
import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection as Transaction
from tests.klucznik.services.renewing import connect, due_pair, program, put_hook
from tests.klucznik.world import installed, some_nip

from klucznik.domain.deployment import ATTEMPTS, Deployment, DeploymentState
from klucznik.errors import SubjectBusy
from klucznik.operations import LogFormat, LogLevel
from klucznik.operations.log import logging_to
from klucznik.operations.metrics import Metrics
from klucznik.services.advance import load, take_lease
from klucznik.services.engine import Engine
from klucznik.services.installation import Installation
from klucznik.services.progress import Progress, Stage
from klucznik.services.renewal import hooks
from klucznik.services.renewal.deploy import FollowUp, follow_up, open_follow_ups
from klucznik.services.renewal.renew import RenewalEnd, renew
from klucznik.services.renewal.renew_many import renew_many
from klucznik.services.renewal.renewal_scan import RenewalScan
from klucznik.storage import deployments
from ksef_sandbox import Sandbox


def said(home: Path, name: str = "ran") -> list[str]:
    path = home / name
    return path.read_text().splitlines() if path.exists() else []


def states(after: FollowUp) -> dict[str, str]:
    return {one.hook: one.state.value for one in after.deployments}


async def renewed(klucznik: Installation, ksef: Sandbox) -> str:
    """The id of a renewal that has just ended, before anything came after it."""
    pair = await due_pair(klucznik, ksef)
    done = await renew(klucznik, pair.subject)
    assert done is not None
    assert done.end is RenewalEnd.RENEWED
    assert done.issuance is not None
    return done.issuance.id


async def test_hooks_run_by_name_then_those_of_the_connections_and_only_once(ksef: Sandbox, tmp_path: Path) -> None:
    other, third = some_nip(), some_nip()
    async with installed(tmp_path, ksef) as klucznik:
        pair = await due_pair(klucznik, ksef)
        put_hook(tmp_path, "20-second", "echo second >>ran")
        put_hook(tmp_path, "10-first", "echo first >>ran")
        for name in (".hidden", "30-kept~", "40-kept.bak"):
            put_hook(tmp_path, name, "echo wrong >>ran")
        put_hook(tmp_path, "README", "echo wrong >>ran", mode=0o600)
        own = program(tmp_path / "own", f'echo "own $KLUCZNIK_NIP" >>"{tmp_path}/ran"')
        for nip in (other, third):
            await connect(klucznik, nip, pair.subject, hook=own)
        (done,) = await renew_many(klucznik, [pair.subject])
        assert done.well
        assert said(tmp_path) == ["first", "second", *(f"own {nip}" for nip in sorted((other, third)))]
        put_hook(tmp_path, "50-later", "echo later >>ran")
        await renew_many(klucznik, [pair.subject])
        await RenewalScan(klucznik).run()
        assert len(said(tmp_path)) == 4
        assert await open_follow_ups(klucznik) == []


async def test_a_hook_finds_names_and_files_and_nothing_secret(
    ksef: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KLUCZNIK_MASTER_KEY", "KLUCZNIK_DATABASE_URL", "SOME_TOKEN"):
        monkeypatch.setenv(name, "c4n4ry")
    put_hook(tmp_path, "tell", "env >env; cat $(echo $KLUCZNIK_CERTIFICATE_FILES | tr : ' ') >certificates")
    async with installed(tmp_path, ksef) as klucznik:
        pair = await due_pair(klucznik, ksef)
        (done,) = await renew_many(klucznik, [pair.subject])
        assert done.renewal is not None
        new = [one.serial_number for one in done.renewal.certificates]
    found = dict(line.split("=", 1) for line in said(tmp_path, "env") if "=" in line)
    assert "c4n4ry" not in str(found)
    told = {name: value for name, value in found.items() if name.startswith("KLUCZNIK_")}
    files = told.pop("KLUCZNIK_CERTIFICATE_FILES").split(os.pathsep)
    assert told == {
        "KLUCZNIK_EVENT": "renewed",
        "KLUCZNIK_HOME": str(tmp_path),
        "KLUCZNIK_ENV": "sandbox",
        "KLUCZNIK_NIP": pair.context.value,
        "KLUCZNIK_NIPS": pair.context.value,
        "KLUCZNIK_SUBJECT_TYPE": "Nip",
        "KLUCZNIK_SERIALS": " ".join(new),
        "KLUCZNIK_AUTHENTICATION_SERIAL": new[0],
        "KLUCZNIK_OFFLINE_SERIAL": new[1],
        "KLUCZNIK_OLD_SERIALS": " ".join(one.serial_number for one in pair.certificates),
    }
    assert (tmp_path / "certificates").read_text().count("BEGIN CERTIFICATE") == 2
    assert not any(Path(file).exists() for file in files)


async def test_a_hook_that_fails_is_told_and_run_again_and_the_renewal_stays(ksef: Sandbox, tmp_path: Path) -> None:
    put_hook(tmp_path, "10-good", "echo good >>ran")
    put_hook(tmp_path, "20-bad", "echo bad >>ran; echo no disk; exit 3")
    put_hook(tmp_path, "30-good", "echo late >>ran")
    heard: list[Progress] = []
    async with installed(tmp_path, ksef) as klucznik:
        pair = await due_pair(klucznik, ksef)
        await connect(klucznik, pair.context.value, pair.subject, revokes=True)
        (done,) = await renew_many(klucznik, [pair.subject], listener=heard.append)
        assert not done.well
        (after,) = done.after
        assert states(after) == {"10-good": "succeeded", "20-bad": "failed", "30-good": "succeeded"}
        assert after.deployments[1].exit_code == 3
        assert [one.output for one in heard if one.stage is Stage.HOOK_ENDED] == ["", "no disk", ""]
        assert after.revoked == ()  # a program may still need the old certificate
        assert said(tmp_path) == ["good", "bad", "late"]
        (still,) = await renew_many(klucznik, [pair.subject])  # too soon: it rests
        assert not still.well
        assert len(said(tmp_path)) == 3
        ksef.advance(hours=1, minutes=1)
        put_hook(tmp_path, "20-bad", "echo mended >>ran")
        (mended,) = await renew_many(klucznik, [pair.subject])
        assert mended.well
        assert mended.after[0].revoked == (pair.certificates[0].serial_number,)
        assert said(tmp_path) == ["good", "bad", "late", "mended"]


async def test_a_hook_is_given_up_in_the_end_and_run_when_told_to(ksef: Sandbox, tmp_path: Path) -> None:
    put_hook(tmp_path, "bad", "echo bad >>ran; exit 1")
    async with installed(tmp_path, ksef) as klucznik:
        issuance_id = await renewed(klucznik, ksef)
        for _ in range(ATTEMPTS + 3):
            after = await follow_up(klucznik, issuance_id)
            ksef.advance(hours=25)
        assert len(said(tmp_path)) == ATTEMPTS
        assert after.deployments[0].given_up
        assert not after.done
        put_hook(tmp_path, "bad", "echo mended >>ran")
        assert (await follow_up(klucznik, issuance_id, told_to=True)).done
        assert said(tmp_path)[-1] == "mended"


async def test_a_hook_that_hangs_is_ended_with_all_that_it_started(ksef: Sandbox, tmp_path: Path) -> None:
    put_hook(tmp_path, "hangs", "sleep 1000 & echo $! >child; trap '' TERM; wait; wait")
    async with installed(tmp_path, ksef) as klucznik:
        issuance_id = await renewed(klucznik, ksef)
        after = await follow_up(klucznik, issuance_id, limit_s=2)
    assert states(after) == {"hangs": "timed_out"}
    assert not Path(f"/proc/{said(tmp_path, 'child')[0]}/exe").exists()


async def test_nothing_that_a_hook_leaves_behind_keeps_us_waiting(ksef: Sandbox, tmp_path: Path) -> None:
    put_hook(tmp_path, "leaves", "setsid sleep 600 & echo $! >child; yes | head -c 300000; echo done")
    async with installed(tmp_path, ksef) as klucznik:
        after = await follow_up(klucznik, await renewed(klucznik, ksef))
    os.kill(int(said(tmp_path, "child")[0]), 9)
    assert states(after) == {"leaves": "succeeded"}


async def test_what_a_crash_cut_off_runs_again(ksef: Sandbox, tmp_path: Path) -> None:
    put_hook(tmp_path, "10-whole", "echo whole >>ran")
    put_hook(tmp_path, "20-cut", "echo cut >>ran")
    async with installed(tmp_path, ksef) as klucznik:
        issuance_id = await renewed(klucznik, ksef)
        now = klucznik.clock.now()

        def crash(transaction: Transaction) -> None:
            deployments.plan(transaction, issuance_id, ["10-whole", "20-cut"])
            done = Deployment(issuance_id, "10-whole", DeploymentState.SUCCEEDED, 1, 0, now, now)
            deployments.save(transaction, done)
            deployments.save(transaction, Deployment(issuance_id, "20-cut", DeploymentState.STARTED, 1, None, now))

        await klucznik.database.write(crash)
        assert not (await follow_up(klucznik, issuance_id)).done
        ksef.advance(hours=2)
        after = await follow_up(klucznik, issuance_id)
        assert after.done
        assert after.deployments[1].attempts == 2
    assert said(tmp_path) == ["cut"]


def writable_by_all(path: Path) -> None:
    path.chmod(0o777)


def in_a_directory_of_all(path: Path) -> None:
    path.parent.chmod(0o777)


def of_another_user(path: Path) -> None:
    os.chown(path, 12345, 12345)


SPOILS = [writable_by_all, in_a_directory_of_all]
if os.geteuid() == 0:  # nobody else gives files away
    SPOILS.append(of_another_user)


@pytest.mark.parametrize("spoil", SPOILS)
async def test_a_program_that_others_can_change_is_not_run(
    spoil: Callable[[Path], None], ksef: Sandbox, tmp_path: Path
) -> None:
    path = put_hook(tmp_path, "hook", "echo wrong >>ran")
    spoil(path)
    async with installed(tmp_path, ksef) as klucznik:
        after = await follow_up(klucznik, await renewed(klucznik, ksef))
    assert states(after) == {"hook": "untrusted"}
    assert not after.done
    assert said(tmp_path) == []


async def test_a_hook_that_is_gone_or_no_program_is_told(ksef: Sandbox, tmp_path: Path) -> None:
    put_hook(tmp_path, "no-interpreter", "").write_text("#!/no/such/interpreter\n")
    put_hook(tmp_path, "gone", "exit 1")
    async with installed(tmp_path, ksef) as klucznik:
        issuance_id = await renewed(klucznik, ksef)
        assert states(await follow_up(klucznik, issuance_id)) == {"gone": "failed", "no-interpreter": "failed"}
        for name in ("gone", "no-interpreter"):
            (tmp_path / hooks.DIRECTORY / name).unlink()
        after = await follow_up(klucznik, issuance_id, told_to=True)
        assert states(after) == {"gone": "missing", "no-interpreter": "missing"}
        assert after.done


async def test_a_worker_orders_what_is_due_carries_it_out_and_runs_the_hooks(ksef: Sandbox, tmp_path: Path) -> None:
    put_hook(tmp_path, "hook", 'echo "$KLUCZNIK_NIP" >>ran')
    async with installed(tmp_path, ksef) as klucznik:
        pair = await due_pair(klucznik, ksef)

        def stop_at_the_hook(progress: Progress) -> None:
            if progress.stage is Stage.HOOK_ENDED:
                engine.stop()

        engine = Engine(klucznik, listener=stop_at_the_hook)
        await engine.run()
        assert said(tmp_path) == [pair.context.value]
        done = await renew(klucznik, pair.subject)
        assert done is not None
        assert done.end is RenewalEnd.NOT_DUE


async def test_a_scan_asks_ksef_nothing_where_nothing_is_due(ksef: Sandbox, tmp_path: Path) -> None:
    async with installed(tmp_path, ksef) as klucznik:
        pair = await due_pair(klucznik, ksef)
        ksef.set_now(pair.certificates[0].valid_to - timedelta(days=67))
        ksef.clear_requests()
        await RenewalScan(klucznik).run()
        assert ksef.requests() == []


async def test_renewals_and_hooks_are_counted_and_logged_with_whose_they_are(ksef: Sandbox, tmp_path: Path) -> None:
    put_hook(tmp_path, "good", "echo 80010112340 of $KLUCZNIK_NIP")
    put_hook(tmp_path, "wrong", "exit 3")
    metrics, stream = Metrics(), io.StringIO()
    async with installed(tmp_path, ksef) as klucznik:
        pair = await due_pair(klucznik, ksef)
        with logging_to(stream, LogFormat.JSON, LogLevel.INFO) as log:

            def both(progress: Progress) -> None:
                log.hear(progress)
                metrics.hear(progress)

            await renew_many(klucznik, [pair.subject], listener=both)
    page = metrics.page(None).decode()
    assert 'klucznik_renewals_ended_total{outcome="done"} 1.0' in page
    assert 'klucznik_hooks_ended_total{state="succeeded"} 1.0' in page
    assert 'klucznik_hooks_ended_total{state="failed"} 1.0' in page
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    good, wrong = (line for line in lines if line["event"] == "hook_ended")
    nip = pair.context.value
    assert (good["level"], good["hook"], good["output"]) == ("info", "good", f"8•••••••340 of {nip}")
    assert (wrong["level"], wrong["state"], wrong["exit_code"]) == ("warning", "failed", 3)
    assert good["issuance"] == wrong["issuance"]
    assert [line["renews"] for line in lines if line["event"] == "ended"] == [2]


async def test_whoever_waits_for_the_summary_waits_for_a_dead_workers_lease(ksef: Sandbox, tmp_path: Path) -> None:
    put_hook(tmp_path, "hook", "echo ran >>ran")
    async with installed(tmp_path, ksef) as dying, installed(tmp_path, ksef) as klucznik:
        issuance_id = await renewed(dying, ksef)
        subject = (await load(dying, issuance_id)).subject
        await take_lease(dying, subject)  # and is killed
        with pytest.raises(SubjectBusy):
            await follow_up(klucznik, issuance_id)
        (done,) = await renew_many(klucznik, [subject])
        assert done.well
    assert said(tmp_path) == ["ran"]


async def test_a_worker_that_is_to_stop_ends_the_hook_it_is_at_and_leaves_the_next(
    ksef: Sandbox, tmp_path: Path
) -> None:
    put_hook(tmp_path, "10-first", "echo first >>ran")
    put_hook(tmp_path, "20-second", "echo second >>ran")
    async with installed(tmp_path, ksef) as klucznik:
        issuance_id = await renewed(klucznik, ksef)
        after = await follow_up(klucznik, issuance_id, stopping=lambda: said(tmp_path) == ["first"])
        assert states(after) == {"10-first": "succeeded", "20-second": "planned"}
        await RenewalScan(klucznik).run()
    assert said(tmp_path) == ["first", "second"]
