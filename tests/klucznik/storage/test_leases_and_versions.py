"""Who may act, and on what: leases with growing tokens, and rows that change only for whoever saw them last."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection
from tests.klucznik.storage.rows import (
    NOW,
    OTHER_SUBJECT,
    SUBJECT,
    plan,
    save_data_key,
    save_underway,
)

from klucznik.domain.certificates import PAIR
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Subject
from klucznik.domain.issuance import Enrollment, EnrollmentState, Failure, Issuance, IssuanceState
from klucznik.domain.limits import Allowance, Limits
from klucznik.errors import StorageError, SubjectBusy
from klucznik.storage import issuances, leases
from klucznik.storage.database import Database

LASTS = timedelta(minutes=2)


async def take(
    database: Database,
    owner: str,
    *,
    after: timedelta = timedelta(),
    subject: Subject = SUBJECT,
    environment: Environment = Environment.TEST,
) -> leases.Lease:
    return await database.write(
        lambda connection: leases.take(connection, environment, subject, owner=owner, now=NOW + after, lasts=LASTS)
    )


async def confirm(database: Database, lease: leases.Lease, *, after: timedelta = timedelta()) -> None:
    await database.write(lambda connection: leases.confirm(connection, lease, now=NOW + after, lasts=LASTS))


async def test_a_lease_that_is_held_cannot_be_taken_and_says_until_when(database: Database) -> None:
    await take(database, "one")
    with pytest.raises(SubjectBusy) as caught:
        await take(database, "other", after=LASTS - timedelta(seconds=1))
    assert caught.value.until == NOW + LASTS


async def test_a_lease_that_has_expired_is_taken_over_with_a_higher_token(database: Database) -> None:
    tokens = [(await take(database, f"owner {number}", after=LASTS * number)).token for number in range(4)]
    assert tokens == sorted(set(tokens))


async def test_a_lease_that_was_given_back_is_free_at_once_and_its_token_still_grows(database: Database) -> None:
    first = await take(database, "one")
    await database.write(lambda connection: leases.give_back(connection, first, now=NOW))
    second = await take(database, "other")
    assert second.token > first.token


async def test_giving_back_a_lease_that_was_taken_over_does_not_free_it(database: Database) -> None:
    stale = await take(database, "one")
    await take(database, "other", after=LASTS)
    await database.write(lambda connection: leases.give_back(connection, stale, now=NOW + LASTS))
    with pytest.raises(SubjectBusy):
        await take(database, "third", after=LASTS)


async def test_confirming_makes_a_lease_last_on(database: Database) -> None:
    lease = await take(database, "one")
    await confirm(database, lease, after=timedelta(seconds=90))
    with pytest.raises(SubjectBusy):
        await take(database, "other", after=LASTS + timedelta(seconds=60))


async def test_a_lease_that_expired_but_was_not_taken_over_is_still_its_holders(database: Database) -> None:
    await confirm(database, await take(database, "one"), after=LASTS * 10)


async def test_a_commit_of_a_stale_holder_changes_nothing(database: Database) -> None:
    stale = await take(database, "one")
    await take(database, "other", after=LASTS)

    def work(connection: Connection) -> None:
        save_data_key(connection)
        issuances.add(connection, plan(), now=NOW)
        leases.confirm(connection, stale, now=NOW + LASTS, lasts=LASTS)

    with pytest.raises(SubjectBusy):
        await database.write(work)
    assert await database.read(lambda each: issuances.running(each, Environment.TEST, SUBJECT)) is None


async def test_leases_of_different_subjects_and_environments_do_not_meet(database: Database) -> None:
    await take(database, "one")
    await take(database, "other", subject=OTHER_SUBJECT)
    await take(database, "third", environment=Environment.PRODUCTION)


async def underway(database: Database) -> tuple[Issuance, list[Enrollment]]:
    await database.write(save_data_key)
    return await database.write(save_underway)


async def test_an_issuance_is_read_as_it_was_saved(database: Database) -> None:
    issuance, _ = await underway(database)
    limits = Limits(True, Allowance(2, 12), Allowance(3, 6))
    filled = replace(issuance, limits_before=limits, limits_after=replace(limits, can_request=False))
    saved = await database.write(lambda connection: issuances.save(connection, filled, now=NOW))
    assert saved == replace(filled, version=issuance.version + 1)
    assert await database.read(lambda each: issuances.running(each, Environment.TEST, SUBJECT)) == saved


async def test_an_enrollment_is_read_as_it_was_saved(database: Database) -> None:
    issuance, (first, second) = await underway(database)
    failure = Failure(25003, "Nie.", "szczegół", "trace")
    sent = replace(first, remaining_before=7, sent_at=NOW, failure=failure)
    saved = await database.write(
        lambda connection: issuances.save_enrollment(connection, sent, EnrollmentState.SENDING, now=NOW)
    )
    assert saved == replace(sent, state=EnrollmentState.SENDING, version=2)
    assert await database.read(lambda each: issuances.enrollments_of(each, issuance.id)) == [saved, second]


async def test_two_who_saw_the_same_issuance_cannot_both_change_it(database: Database) -> None:
    issuance, _ = await underway(database)
    await database.write(lambda connection: issuances.save(connection, issuance, now=NOW))
    ended = replace(issuance, state=IssuanceState.DONE)
    with pytest.raises(StorageError) as caught:
        await database.write(lambda connection: issuances.save(connection, ended, now=NOW))
    assert caught.value.reason == "state_moved_on"
    assert await database.read(lambda each: issuances.running(each, Environment.TEST, SUBJECT)) is not None


async def test_two_who_saw_the_same_enrollment_cannot_both_send_it(database: Database) -> None:
    issuance, (first, _) = await underway(database)

    async def send() -> Enrollment:
        return await database.write(
            lambda connection: issuances.save_enrollment(connection, first, EnrollmentState.SENDING, now=NOW)
        )

    sent = await send()
    with pytest.raises(StorageError) as caught:
        await send()
    assert caught.value.reason == "state_moved_on"
    assert (await database.read(lambda each: issuances.enrollments_of(each, issuance.id)))[0] == sent


@pytest.mark.parametrize(
    "after", [state for state in EnrollmentState if state not in ("key_committed", "sending", "unsent")]
)
async def test_a_step_that_the_road_does_not_know_is_not_saved(after: EnrollmentState, database: Database) -> None:
    issuance, (first, _) = await underway(database)
    with pytest.raises(StorageError) as caught:
        await database.write(lambda connection: issuances.save_enrollment(connection, first, after, now=NOW))
    assert caught.value.reason == "transition_forbidden"
    assert (await database.read(lambda each: issuances.enrollments_of(each, issuance.id)))[0] == first


@pytest.mark.parametrize("state", [state for state in IssuanceState if state.ended])
async def test_an_issuance_that_has_ended_is_not_taken_up_again(state: IssuanceState, database: Database) -> None:
    issuance, _ = await underway(database)
    await database.write(lambda connection: issuances.save(connection, replace(issuance, state=state), now=NOW))
    assert await database.read(lambda each: issuances.running(each, Environment.TEST, SUBJECT)) is None


async def test_the_issuance_of_another_subject_or_environment_is_not_taken_up(database: Database) -> None:
    await underway(database)
    assert await database.read(lambda each: issuances.running(each, Environment.TEST, OTHER_SUBJECT)) is None
    assert await database.read(lambda each: issuances.running(each, Environment.DEMO, SUBJECT)) is None


async def test_an_enrollment_cannot_be_saved_without_its_key(database: Database) -> None:
    """Rule 2, held by the tables too."""

    def work(connection: Connection) -> None:
        issuance = plan(2)
        issuances.add(connection, issuance, now=NOW)
        issuances.add_enrollment(
            connection,
            Enrollment("e", issuance.id, PAIR[0], "name", "no such key", b"", EnrollmentState.KEY_COMMITTED),
            now=NOW,
        )

    with pytest.raises(StorageError):
        await database.write(work)


async def test_a_lease_that_ran_out_is_taken_over_and_one_that_was_given_back_is_not(database: Database) -> None:
    first = await take(database, "one")
    assert not first.taken_over
    second = await take(database, "other", after=LASTS)
    assert second.taken_over
    await database.write(lambda connection: leases.give_back(connection, second, now=NOW + LASTS))
    assert not (await take(database, "third", after=LASTS)).taken_over
    assert not (await take(database, "third", after=3 * LASTS)).taken_over  # its own, run out
