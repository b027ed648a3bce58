"""What stands in a task's way now: its time, the network, the policy.

Rule: looked at afresh each time, nothing is remembered here; what it means is decided in
`start_conditions`.
"""

from __future__ import annotations

import os

from transfermon.engine import start_conditions
from transfermon.engine.shared import Engine
from transfermon.engine.start_conditions import NO_NETWORK, Hold
from transfermon.http import proxies
from transfermon.http.addresses import check_url, origin_of
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.errors import Retry, TransferError, redacted
from transfermon.model.task import Activity, State, Task, changed
from transfermon.model.wake_policy import AppState
from transfermon.system.network_status import METERED, UNSURE, is_local
from transfermon.text import advice


def obstacle(task: Task, own: SessionConfiguration, engine: Engine) -> Hold | None:
    """What the task has to wait for before it may ask for a slot (T-10, T-17, T-18). `own` is its
    session's.
    """
    return start_conditions.hold(
        task,
        now=engine.now(),
        background=own.is_background,
        no_way=_why_no_way(task, own, engine),
        why_not=_why_not(task, own, engine),
        limited=engine.strict and engine.app_state is AppState.BACKGROUND,
    )


def refusal(task: Task, own: SessionConfiguration, engine: Engine) -> TransferError | None:
    """How the task ends at once, because its session waits for no network and the one that is there
    must not be used.
    """
    if waits_for_connectivity(own) or not is_unwanted(task, own, engine):
        return None
    return changed(start_conditions.METERED_REFUSED, url=redacted(task.url))


def is_unwanted(task: Task, own: SessionConfiguration, engine: Engine) -> bool:
    """Whether the network is a metered one, which the session must not use. As long as that is not
    known nothing is unwanted, and nothing starts.
    """
    return _why_unwanted(task, own, engine) == METERED


def _why_unwanted(task: Task, own: SessionConfiguration, engine: Engine) -> str:
    if own.allows_metered_access or is_local(task.url):
        return ""
    engine.policy.ask_metered()
    return engine.policy.why_unwanted()


def _why_no_way(task: Task, own: SessionConfiguration, engine: Engine) -> str:
    waits = waits_for_connectivity(own)
    if waits and not is_online(task, own, engine):
        return start_conditions.CUT_OFF if engine.connectivity.cut_off else NO_NETWORK
    unwanted = _why_unwanted(task, own, engine)
    return unwanted if waits or unwanted == UNSURE else ""


def _why_not(task: Task, own: SessionConfiguration, engine: Engine) -> str:
    discretionary = own.is_discretionary or (task.in_background and engine.strict)
    if not (own.is_background and discretionary) or task.user_initiated:
        return ""
    engine.policy.ask_metered()
    return engine.policy.why_not()


def waits_for_connectivity(own: SessionConfiguration) -> bool:
    return own.is_background or own.waits_for_connectivity


def is_online(task: Task, own: SessionConfiguration, engine: Engine) -> bool:
    """Whether there is a way for this task, as far as anybody can know; a proxy of the session's
    may have its own.
    """
    return has_way(task, own, engine) or (bool(own.proxy) and not engine.connectivity.cut_off)


def has_way(task: Task, own: SessionConfiguration, engine: Engine) -> bool:
    """Whether the network leads to the task's server or to the proxy in front of it; to this
    machine it always does.
    """
    network = engine.connectivity
    if network.leads_to(task.url):
        return True
    proxy = proxies.shown(
        proxies.named_by(os.environ, origin_of(check_url(task.url)))
        if own.proxy is None
        else own.proxy
    )
    return bool(proxy) and network.leads_to(proxy)


def after_failure(
    task: Task, own: SessionConfiguration, engine: Engine, error: TransferError
) -> tuple[TransferError, Hold | None]:
    """The failure as it is to be seen now, and what the task has to wait for before an attempt
    makes sense, without counting one: a login, or a way to its server.
    """
    asks = changed(task, state=State.COMPLETED, error=error)
    if not engine.attached and engine.wants_login(asks):
        return error, Hold(activity=Activity.WAITING_UNTIL, reason=start_conditions.LOGIN)
    # what must not be sent twice does not wait for the network to be sent again (U-10)
    if task.exposed or has_way(task, own, engine):
        return error, None
    error = start_conditions.without_network(
        error, background=own.is_background, cut_off=engine.connectivity.cut_off
    )
    if error.retry is not Retry.WAIT or not waits_for_connectivity(own):
        return error, None
    hint = advice.hint(error, advice.Decision.WAIT)
    return error, Hold(activity=Activity.WAITING_FOR_CONNECTIVITY, reason=error.message, hint=hint)
