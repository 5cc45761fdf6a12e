"""Runs `annotate` in an image's environment on small random weights under the published names.

    PYTHONPATH=workers/python/src python infra/images/try_environment.py inception   (or vqa)

It shows that the pinned libraries load such files and answer; it says nothing about published weights. (The
detector's environment is the worker's own, which the tests run.)
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from limbeck.contracts import parse_stage_spec
from limbeck.contracts.context import StageContext
from limbeck.evaluation.networks.stored_answers import open_network, record
from limbeck.stages import annotate
from PIL import Image
from torch import nn


def write_inception(snapshot: Path) -> None:
    """The state of torch-fidelity's own network, drawn at random when it asks for its weights."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Enough(Exception):
        pass

    def draw(module: nn.Module, *_: object, **__: object) -> None:
        state = module.state_dict()
        for name, value in state.items():
            if value.is_floating_point() and "running_var" not in name:
                scale = 1.6 / value[0].numel() ** 0.5 if value.ndim > 1 else 0.1
                state[name] = torch.randn_like(value) * scale
        torch.save(state, file)
        raise Enough

    file = snapshot / "inception" / "random.pth"
    file.parent.mkdir(parents=True)
    torch.save({}, file)
    load, nn.Module.load_state_dict = nn.Module.load_state_dict, draw
    try:
        FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(file))
    except Enough:
        pass
    finally:
        nn.Module.load_state_dict = load


def write_vqa(snapshot: Path) -> None:
    """A small mPLUG in ModelScope's layout. Its decoder starts with BERT's own number of [CLS]."""
    import yaml
    from modelscope.models.multi_modal.mplug import MPlug

    folder = snapshot / "vqa"
    folder.mkdir(parents=True)
    words = ["[PAD]", *(f"x{place}" for place in range(99)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += ["yes", "no", "is", "there", "a", "circle", "red", "object", "dog", "?"]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    bert = {
        "attention_probs_dropout_prob": 0.1,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": 16,
        "intermediate_size": 32,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 64,
        "model_type": "bert",
        "num_attention_heads": 2,
        "num_hidden_layers": 4,
        "pad_token_id": 0,
        "type_vocab_size": 2,
        "vocab_size": len(words),
        "fusion_layers": 2,
        "encoder_width": 16,
        "text_encoder_layers": 2,
        "text_decode_layers": 2,
        "stride_layer": 1,
    }
    (folder / "config_bert.json").write_text(json.dumps(bert))
    config = {
        "task": "visual-question-answering",
        "bert_config": "config_bert.json",
        "image_res": 32,
        "vision_width": 768,
        "distill": False,
        "clip_name": "ViT-B-16",
        "clip_embed_dim": 16,
        "clip_image_resolution": 32,
        "clip_vision_layers": 2,
        "clip_vision_width": 768,
        "clip_vision_patch_size": 16,
        "clip_context_length": 16,
        "clip_vocab_size": 32,
        "clip_transformer_width": 64,
        "clip_transformer_heads": 1,
        "clip_transformer_layers": 1,
        "min_length": 1,
        "max_length": 4,
        "beam_size": 2,
    }
    (folder / "config.yaml").write_text(yaml.dump(config))
    model = MPlug.from_pretrained(str(folder), task="visual-question-answering", load_checkpoint=False)
    torch.save({"model": model.state_dict()}, folder / "pytorch_model.bin")


def main(kind: str) -> None:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        {"inception": write_inception, "vqa": write_vqa}[kind](root / "scorers")
        record(open_network(kind, root / "scorers"), root / "scorers")
        (root / "images").mkdir()
        for number in range(4):
            pixels = np.random.default_rng(number).integers(0, 256, (128, 128, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / "images" / f"item{number}.png")
        rows = [f"item{number},a dog,,1,0,entity,whole,dog,Is there a dog?" for number in range(4)]
        header = (
            "item_id,text,keywords,proposition_id,dependency,category_broad,category_detailed,tuple,"
            "question_natural_language"
        )
        (root / "questions.csv").write_text("\n".join([header, *rows]) + "\n")
        ctx = StageContext(
            workdir=root / "work",
            spec=parse_stage_spec({"kind": "annotate", "network": kind, "resolution": 64, "batch_size": 2}),
            inputs={"images": root / "images", "scorers": root / "scorers", "questions": root},
        )
        result = annotate.run(ctx)
        print(f"{kind}: {result.metrics}, {sorted(path.name for path in ctx.output.iterdir())}")


if __name__ == "__main__":
    main(sys.argv[1])
