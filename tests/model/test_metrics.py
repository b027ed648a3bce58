"""A transaction's row, as it is stored, and what programs see of it."""

from __future__ import annotations

import dataclasses

from transfermon.model.metrics import Trace, TransactionMetrics, task_metrics

OFFSET = 1000.0  # from the monotonic clock to the wall's


def test_a_row_has_the_order_of_the_fields():
    trace = Trace(
        method="GET",
        url="https://example.org/",
        fetch_start=1.0,
        status=200,
        reused=True,
        remote_address="192.0.2.1",
        protocol="http/1.1",
        lookup=(2.0, 3.0),
        connect=(4.0, 5.0),
        secure=(6.0, 7.0),
        request=(8.0, 9.0),
        response_start=10.0,
        response_end=11.0,
        request_header_bytes=12,
        request_body_bytes=13,
        response_header_bytes=14,
        response_body_bytes=15,
    )
    row = trace.row(3, OFFSET)
    assert len(row) == len(dataclasses.fields(TransactionMetrics))
    (seen,) = task_metrics(0.0, None, 0, [row]).transactions
    assert seen == TransactionMetrics(
        attempt=3,
        method="GET",
        url="https://example.org/",
        status=200,
        fetch_start=1001.0,
        domain_lookup_start=1002.0,
        domain_lookup_end=1003.0,
        connect_start=1004.0,
        connect_end=1007.0,
        secure_connection_start=1006.0,
        secure_connection_end=1007.0,
        request_start=1008.0,
        request_end=1009.0,
        response_start=1010.0,
        response_end=1011.0,
        network_protocol_name="http/1.1",
        is_reused_connection=True,
        remote_address="192.0.2.1",
        request_header_bytes=12,
        request_body_bytes=13,
        response_header_bytes=14,
        response_body_bytes=15,
    )


def test_what_did_not_happen_has_no_time():
    trace = Trace(method="GET", url="https://example.org/", fetch_start=1.0, connect=(4.0, 5.0))
    (seen,) = task_metrics(0.0, None, 0, [trace.row(1, OFFSET)]).transactions
    assert (seen.connect_end, seen.secure_connection_start, seen.request_start) == (
        1005.0,
        None,
        None,
    )
