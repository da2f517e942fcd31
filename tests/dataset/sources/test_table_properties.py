"""Whatever the texts and the size of the partitions: every format gives back what was written."""

import csv
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from ltml_dataset.sources import open_source

TEXTS = st.lists(
    st.text(alphabet=st.sampled_from('ab ",;\t\n\r\u00e9\u2264\U0001f9e0'), max_size=12), min_size=1, max_size=12
)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.sampled_from(["csv", "jsonl", "parquet"]), st.integers(1, 5))
def test_texts_survive(texts: list[str], kind: str, size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"t.{kind}"
        if kind == "parquet":
            table = pa.table({"id": [f"r{i}" for i in range(len(texts))], "text": pa.array(texts, pa.string())})
            pq.write_table(table, path, row_group_size=3)
        elif kind == "jsonl":
            path.write_text("".join(json.dumps({"id": f"r{i}", "text": t}) + "\n" for i, t in enumerate(texts)))
        else:
            with path.open("w", newline="", encoding="utf-8") as stream:
                writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
                writer.writerows([("id", "text"), *((f"r{i}", t) for i, t in enumerate(texts))])
        source = open_source(path)
        batches = [source.read(partition) for partition in source.partitions(size)]
    assert [text for batch, _ in batches for text in batch["text"].to_pylist()] == texts
    assert [name for batch, _ in batches for name in batch["report_id"].to_pylist()] == [
        f"r{i}" for i in range(len(texts))
    ]
    assert [skip for _, skips in batches for skip in skips] == []
