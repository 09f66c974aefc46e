"""Models small enough to register many: a header of safetensors, and settings."""

import json
from pathlib import Path


def write_model(folder: Path, content: str = "weights") -> Path:
    """A folder that is taken for a model; another `content` is another model."""
    (folder / "1_Pooling").mkdir(parents=True)
    header = json.dumps({"__metadata__": {"content": content}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    (folder / "config.json").write_text("{}")
    (folder / "1_Pooling" / "config.json").write_text('{"mean": true}')
    return folder


def damage(path: Path) -> None:
    """Change one bit, and nothing of the size."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
