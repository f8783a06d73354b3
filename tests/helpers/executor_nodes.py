"""Two machines of a Ray cluster, pretended on one; the second is killed at work.

`python -m tests.helpers.executor_nodes FOLDER`
"""

import json
import sys
import threading
import time
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from tests.helpers import executor_search

SMALL = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


def main(folder: Path) -> None:
    """Search on both, and lose one."""
    cluster = Cluster(initialize_head=True, head_node_args={**SMALL, "include_dashboard": False})
    ray.init(address=cluster.address, log_to_driver=False)  # now, so that it is the first that this process is on
    second = cluster.add_node(**SMALL)
    cluster.wait_for_nodes()

    def kill() -> None:
        while len({line.split()[1] for line in _lines(folder)}) < 2:
            time.sleep(0.05)
        cluster.remove_node(second, allow_graceful=False)
        print("killed", flush=True)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    found = executor_search.search(folder, "ray")
    killer.join()
    assert ray.is_initialized()  # whoever began it ends it
    (folder / "found.json").write_text(json.dumps([[one.arch.to_dict(), one.score] for one in found]))
    ray.shutdown()
    cluster.shutdown()


def _lines(folder: Path) -> list[str]:
    path = folder / "started"
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    main(Path(sys.argv[1]))
