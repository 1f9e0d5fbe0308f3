"""Truss's server without Docker: makes the build context of a truss, and runs what its image would run."""

from __future__ import annotations

import os
import runpy
import shutil
import sys
from pathlib import Path

from loopback import hold_uvicorn

if __name__ == "__main__":
    source, folder, port = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    app = folder / "app"
    if not app.exists():
        from truss.truss_handle.build import load

        load(source).build_docker_build_context(build_dir=folder)
        shutil.copytree(folder / "server", app)  # as its Dockerfile does
        shutil.copytree(folder / "model", app / "model")
        shutil.copy(folder / "config.yaml", app)
        os.execv(sys.executable, [sys.executable, __file__, *sys.argv[1:]])  # without what only the build needs
    os.environ["INFERENCE_SERVER_PORT"] = port
    hold_uvicorn()
    os.chdir(app)
    sys.path.insert(0, str(app))
    sys.argv = ["main.py"]
    runpy.run_path("main.py", run_name="__main__")
