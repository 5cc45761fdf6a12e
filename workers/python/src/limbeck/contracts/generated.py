"""Wire types generated from packages/contracts; run its scripts/generate.ts, do not edit."""


from typing import Annotated, Literal
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, RootModel
from typing_extensions import TypeAliasType


class RenderDatasetSpec(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    kind: Literal["render_dataset"] = "render_dataset"
    source: Literal["shapes"] = "shapes"
    hold_out: Literal["shapes-v1"] = "shapes-v1"
    """
    combinations that no training sample holds
    """
    split: Literal["train", "validation"] = "train"
    samples: Annotated[int, Field(ge=1, le=10000000)]
    """
    scenes
    """
    resolution: Annotated[int, Field(ge=16, le=1024)] = 64
    """
    edge in pixels
    """
    samples_per_shard: Annotated[int, Field(ge=1, le=100000)] = 1000
    """
    scenes a shard
    """
    wrong_captions: Annotated[float, Field(ge=0.0, le=1.0)] = 0
    """
    scenes captioned with another scene's words, as pairs from the web are
    """
    seed: Annotated[int, Field(ge=0, le=9007199254740991)] = 0


class AutoencoderConfig(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    channels: Annotated[list[int], Field(max_length=6, min_length=1)]
    layers_per_block: Annotated[int, Field(ge=1, le=8)] = 1
    """
    ResBlocks a resolution
    """
    latent_channels: Annotated[int, Field(ge=1, le=64)]
    """
    channels of the latent
    """
    norm_groups: Annotated[int, Field(ge=1, le=64)] = 8
    """
    groups of GroupNorm
    """


class WordTextConfig(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    encoder: Literal["words"] = "words"
    vocabulary: Literal["shapes-v1"] = "shapes-v1"
    width: Annotated[int, Field(ge=1, le=4096)]
    """
    channels of a token
    """
    tokens: Annotated[int, Field(ge=1, le=512)]
    """
    positions; shorter captions are padded with zeros
    """
    seed: Annotated[int, Field(ge=0, le=9007199254740991)]


class OptimizerConfig(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    kind: Literal["adamw", "muon"]
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)]
    """
    peak rate
    """
    betas: tuple[float, float] = [0.9, 0.99]
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = 0
    warmup_steps: Annotated[int, Field(ge=0, le=9007199254740991)] = 100
    """
    linear warm-up
    """
    decay_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.25
    """
    last share of the steps in which the rate falls linearly to 0
    """
    gradient_clip: Annotated[float, Field(gt=0.0)] = 1
    """
    largest global gradient norm
    """


class TeacherSamples(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    component: Literal["transformer", "transformer_turbo"]
    samples: Annotated[int, Field(ge=1, le=10000000)]
    """
    noise-sample pairs, on the captions of the first samples
    """
    steps: Annotated[int, Field(ge=1, le=1000)]
    """
    Euler steps
    """
    guidance_scale: Annotated[float, Field(ge=0.0, le=30.0)]
    seed: Annotated[int, Field(ge=0, le=9007199254740991)] = 0


class SnapgenTextConfig(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    encoder: Literal["snapgen"] = "snapgen"
    width: Annotated[int, Field(ge=1, le=16384)] = 2304
    """
    channels of a token: Gemma-2-2b 2304, CLIP-L alone 768
    """
    clip: Literal["l", "l+g"] = "l+g"
    """
    l: CLIP-L alone, as in the ImageNet study
    """
    gemma_tokens: Annotated[int, Field(ge=0, le=512)] = 256
    """
    positions of Gemma after the 77 of CLIP; 0: CLIP alone, as on the phone
    """
    prefix: Annotated[str, Field(max_length=4000)] = ""
    """
    instruction before the caption, for Gemma alone
    """


class TinyDecoderConfig(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    latent_channels: Annotated[int, Field(ge=1, le=64)]
    """
    channels of the latent
    """
    widths: Annotated[list[int], Field(max_length=6, min_length=2)]
    blocks: Annotated[list[int], Field(max_length=6, min_length=2)]
    norm_groups: Annotated[int, Field(ge=1, le=256)] = 8
    """
    groups of GroupNorm
    """
    activation: Literal["silu", "hardswish"] = "silu"


class PatchGanConfig(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    weight: Annotated[float, Field(ge=0.0, le=100.0)] = 0.5
    """
    times the ratio of gradients at the last layer
    """
    start_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """
    of the steps, after which it is on
    """
    channels: Annotated[int, Field(ge=1, le=512)] = 64
    """
    width of the first layer; a multiple of 8
    """
    layers: Annotated[int, Field(ge=1, le=5)] = 3
    """
    strided layers: 3 see 70 pixels
    """
    optimizer: OptimizerConfig


class Sd3Config(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    architecture: Literal["sd3"] = "sd3"
    layers: Annotated[int, Field(ge=1, le=128)]
    """
    joint transformer blocks; SD3.5-Large 38
    """
    heads: Annotated[int, Field(ge=1, le=128)]
    """
    attention heads; SD3.5-Large 38
    """
    head_width: Annotated[int, Field(ge=1, le=256)]
    """
    channels of a head; SD3.5 64
    """
    patch: Annotated[int, Field(ge=1, le=8)]
    """
    patch edge in latent pixels; SD3.5 2
    """
    latent_channels: Annotated[int, Field(ge=1, le=64)]
    """
    channels of the latent; SD3.5 16
    """
    latent_size: Annotated[int, Field(ge=1, le=512)]
    """
    latent edge the position table is sized for
    """
    joint_width: Annotated[int, Field(ge=1, le=16384)]
    """
    text token width; SD3.5 4096
    """
    pooled_width: Annotated[int, Field(ge=1, le=16384)]
    """
    pooled text width; SD3.5 2048
    """
    qk_norm: Literal["rms_norm", "none"] = "rms_norm"
    dual_attention_layers: Annotated[int, Field(ge=0, le=128)] = 0
    """
    first blocks with a second attention over the image alone; SD3.5-Medium 13
    """
    position_table: Annotated[int, Field(ge=0, le=1024)] = 0
    """
    edge of the position table in patches; 0: that of the latent. SD3.5-Large 192, -Medium 384
    """


class UnetStage(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    channels: Annotated[int, Field(ge=1, le=8192)]
    """
    width; SnapGen 256, 512, 896
    """
    heads: Annotated[int, Field(ge=1, le=256)]
    """
    query heads; SnapGen 4, 8, 14
    """
    down_blocks: Annotated[int, Field(ge=1, le=32)]
    """
    ResBlocks on the way down; SnapGen 1, 2, 2
    """
    up_blocks: Annotated[int, Field(ge=1, le=32)]
    """
    ResBlocks on the way up; SnapGen 2, 3, 3
    """
    transformer_blocks: Annotated[int, Field(ge=0, le=32)]
    """
    CA+FFN blocks after each ResBlock; SnapGen 1, 2, 4
    """
    self_attention: bool
    """
    SA before CA; SnapGen: lowest stage only
    """


class TimeConfig(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    shift: Annotated[float, Field(ge=0.1, le=16.0)] = 1
    """
    t' = s t / (1 + (s - 1) t)
    """
    mean: Annotated[float, Field(ge=-3.0, le=3.0)] = 0
    """
    logit-normal mean before the shift
    """
    std: Annotated[float, Field(gt=0.0, le=4.0)] = 1
    """
    logit-normal standard deviation
    """


class ScalingConfig(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    mode: Literal["timestep", "equal", "global", "none"] = "timestep"
    """
    timestep: a_t L_task + (1 - a_t) ratio L_kd; equal: each term scaled to the task loss; global: one ratio; none: plain sum
    """
    ratio: Literal["per_bin", "per_sample"] = "per_bin"
    weight_curve: Literal["A", "B"] = "A"
    """
    a_t: density over its maximum (A), normal CDF of the density (B)
    """
    bins: Annotated[int, Field(ge=4, le=256)] = 32
    """
    bins of equal probability under the training density
    """
    decay: Annotated[float, Field(ge=0.0, le=1.0)] = 0.98
    """
    decay of the running means of a bin
    """
    ratio_limits: tuple[float, float] = [0.01, 100]


GridsAdditionalProperty = TypeAliasType(
    "GridsAdditionalProperty",
    Annotated[list[float], Field(max_length=64, min_length=1)],
)


class TimePhase(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    until: Annotated[float, Field(ge=0.0, le=1.0)]
    """
    of the updates; the phase ends there
    """
    weights: Annotated[list[float], Field(max_length=128, min_length=1)]
    """
    of the distinct step times, falling
    """


class LaddConfig(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    weight: Annotated[float, Field(ge=0.0, le=100.0)] = 0.5
    """
    generator's weight of the adversarial term
    """
    taps: Annotated[list[int], Field(max_length=64, min_length=1)]
    """
    blocks of the frozen feature network
    """
    head_channels: Annotated[int, Field(ge=1, le=2048)]
    """
    width of a head; SD3.5 256
    """
    head_optimizer: OptimizerConfig
    loss: Literal["hinge", "softplus"] = "hinge"
    renoise: Literal["logit_normal", "next_grid_time"] = "logit_normal"
    """
    the discriminator's t: drawn (LADD), or the next lower step time behind the generator's, 0 behind the last (diffusion GANs)
    """
    renoise_mean: Annotated[float, Field(ge=-3.0, le=3.0)] = 1
    """
    logit-normal mean of the discriminator's t
    """
    renoise_std: Annotated[float, Field(gt=0.0)] = 1
    """
    logit-normal deviation of the discriminator's t
    """
    r1_weight: Annotated[float, Field(ge=0.0)] = 0.1
    """
    R1 on the head inputs
    """
    discriminator_updates: Annotated[int, Field(ge=1, le=64)] = 1
    """
    discriminator updates a generator update
    """
    stop_accuracy: Annotated[float, Field(ge=0.0, le=1.0)] = 0.98
    """
    discriminator accuracy that stops the stage...
    """
    stop_window_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.15
    """
    ...when held for this share of the steps
    """
    stop_spread: Annotated[float, Field(ge=0.0, le=1.0)] = 0
    """
    spread of the student's held-out images, as a share of that before the stage, below which it stops: all images become alike. 0: never
    """


class EvaluationProtocol(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    benchmark: Literal["shapes-geneval"] = "shapes-geneval"
    """
    GenEval rules on the shapes detector; never called GenEval
    """
    prompts_per_tag: Annotated[int, Field(ge=1, le=1000)]
    """
    prompts of each of the six tags
    """
    held_out_per_tag: Annotated[int, Field(ge=0, le=1000)]
    """
    prompts on held-out combinations, scored apart
    """
    images_per_prompt: Annotated[int, Field(ge=1, le=64)] = 1
    """
    images a prompt
    """
    seed: Annotated[int, Field(ge=0, le=9007199254740991)]
    """
    draws the prompts; x_T is keyed by prompt text and repeat index
    """
    sampler: Literal["flow-euler"] = "flow-euler"
    steps: Annotated[int, Field(ge=1, le=1000)]
    """
    Euler steps
    """
    grid: list[float] | None = None
    """
    step times; null: even in t, then shifted
    """
    shift: Annotated[float, Field(gt=0.0)] = 1
    """
    time shift
    """
    guidance_scale: Annotated[float, Field(ge=0.0, le=30.0)]
    """
    1: one forward a step
    """
    dtype: Literal["float32"] = "float32"
    scorer: Literal["shapes-detector-v1"] = "shapes-detector-v1"


class AnnotateSpec(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    kind: Literal["annotate"] = "annotate"
    network: Literal["detector", "vqa", "inception"]
    """
    what looks at the pictures: for GenEval, DPG-Bench, FID and KID
    """
    batch_size: Annotated[int, Field(ge=1, le=1024)] = 16
    """
    pictures a forward
    """
    resolution: Annotated[int, Field(ge=16, le=4096)] = 1024
    """
    edge of a picture in DPG-Bench's grids, in pixels; for vqa
    """
    images_per_prompt: Annotated[int, Field(ge=1, le=4)] = 4
    """
    pictures of DPG-Bench's grids; for vqa
    """
    dataset: Annotated[str, Field(max_length=200)] = ""
    """
    for inception: name or digest of the reference set, kept in the statistics; empty: not stated
    """


class ScoreSpec(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    kind: Literal["score"] = "score"
    scorer: Literal["geneval", "frechet", "dpg"]
    """
    as `limbeck eval` scores files
    """


class GatesSpec(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    kind: Literal["gates"] = "gates"


class Digest(RootModel[str]):
    model_config = ConfigDict(
        frozen=True,
    )
    root: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """
    SHA-256 of the bytes, 64 lower-case hex digits
    """


class TagScore(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    score: Annotated[float, Field(ge=0.0, le=1.0)]
    """
    correct images over images
    """
    images: Annotated[int, Field(ge=0, le=9007199254740991)]
    interval: tuple[float, float]


class ExtraScore(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    scorer: Literal["clip-score", "image-reward", "frechet", "kid"]
    name: Annotated[str, Field(max_length=400)]
    """
    with everything that decides the number: backbone, template, scale
    """
    value: float | None
    interval: tuple[float, float] | None
    """
    bootstrap over prompts; none for distances between sets
    """
    not_run: str | None
    """
    why there is no value
    """


class WorkerEnvironment(BaseModel):
    """
    what may change the bits of a result; enters the cache key
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    torch: Annotated[str, Field(max_length=80)]
    """
    version with build, "2.13.0+cpu"
    """
    device: Annotated[str, Field(max_length=80)]
    """
    device class: "cpu-x86_64", "cuda-sm90"
    """
    threads: Annotated[int, Field(ge=1, le=1024)]
    python: Annotated[str, Field(max_length=40)]


class WorkerRegistered(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    worker: Annotated[str, Field(pattern="^wrk_[0-9a-hjkmnp-tv-z]{26}$")]
    lease_seconds: Annotated[int, Field(ge=-9007199254740991, le=9007199254740991)]
    heartbeat_hold_seconds: float
    claim_wait_seconds: float
    outage_seconds: Annotated[int, Field(ge=-9007199254740991, le=9007199254740991)]


class ClaimRequest(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    worker: Annotated[str, Field(pattern="^wrk_[0-9a-hjkmnp-tv-z]{26}$")]
    claim: Annotated[str, Field(pattern="^clm_[0-9a-hjkmnp-tv-z]{26}$")]
    wait_seconds: Annotated[float, Field(ge=0.0, le=30.0)] = 20


class Resume(BaseModel):
    """
    newest verified checkpoint
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """
    SHA-256 of the bytes, 64 lower-case hex digits
    """
    step: Annotated[int, Field(ge=0, le=9007199254740991)]


class Progress(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    step: Annotated[int, Field(ge=0, le=9007199254740991)]
    total: Annotated[int, Field(ge=0, le=9007199254740991)]
    images_per_second: float | None
    loss: float | None


class HeartbeatRequest(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    worker: Annotated[str, Field(pattern="^wrk_[0-9a-hjkmnp-tv-z]{26}$")]
    epoch: Annotated[int, Field(ge=1, le=9007199254740991)]
    hold_seconds: Annotated[float, Field(ge=0.0, le=10.0)] = 10
    """
    the answer waits this long unless there is something to say
    """
    progress: Progress | None


class HeartbeatResponse(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    action: Literal["continue", "cancel", "drain"]
    lease_seconds: Annotated[int, Field(ge=-9007199254740991, le=9007199254740991)]


class MetricReceipt(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    accepted: Annotated[int, Field(ge=-9007199254740991, le=9007199254740991)]
    superseded: Annotated[int, Field(ge=-9007199254740991, le=9007199254740991)]
    """
    steps that a newer attempt has logged already
    """
    duplicate: bool


class File(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    path: Annotated[str, Field(max_length=500, min_length=1)]
    size: Annotated[int, Field(ge=0, le=9007199254740991)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """
    SHA-256 of the bytes, 64 lower-case hex digits
    """


class TreeManifest(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    format: Literal["limbeck-tree-1"] = "limbeck-tree-1"
    files: Annotated[list[File], Field(max_length=100000)]
    """
    sorted by path; "/" between folders; no "..", no leading "/"
    """


class Blob(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """
    SHA-256 of the bytes, 64 lower-case hex digits
    """
    size: Annotated[int, Field(ge=0, le=5000000000000)]
    kind: Literal["blob", "tree"] = "blob"


class UploadRequest(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    blobs: Annotated[list[Blob], Field(max_length=500, min_length=1)]


class Upload(RootModel[str]):
    model_config = ConfigDict(
        frozen=True,
    )
    root: Annotated[str, Field(pattern="^upl_[0-9a-hjkmnp-tv-z]{26}$")]


class PartSize(RootModel[int]):
    model_config = ConfigDict(
        frozen=True,
    )
    root: Annotated[int, Field(ge=-9007199254740991, le=9007199254740991)]


class Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    number: Annotated[int, Field(ge=1, le=9007199254740991)]
    url: str


class UploadTicket(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """
    SHA-256 of the bytes, 64 lower-case hex digits
    """
    state: Literal["present", "upload"]
    """
    present: the bytes are stored already
    """
    upload: Upload | None
    part_size: PartSize | None
    parts: list[Part]


class Part1(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    number: Annotated[int, Field(ge=1, le=9007199254740991)]
    etag: Annotated[str, Field(max_length=200)]


class Upload1(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    upload: Annotated[str, Field(pattern="^upl_[0-9a-hjkmnp-tv-z]{26}$")]
    parts: Annotated[list[Part1], Field(max_length=10000, min_length=1)]


class UploadComplete(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    uploads: Annotated[list[Upload1], Field(max_length=500, min_length=1)]


class DownloadRequest(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    digests: Annotated[list[Digest], Field(max_length=500, min_length=1)]


class Blob1(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """
    SHA-256 of the bytes, 64 lower-case hex digits
    """
    size: Annotated[int, Field(ge=-9007199254740991, le=9007199254740991)]
    url: str


class DownloadUrls(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    blobs: list[Blob1]
    expires_seconds: Annotated[int, Field(ge=-9007199254740991, le=9007199254740991)]


class CheckpointReport(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    worker: Annotated[str, Field(pattern="^wrk_[0-9a-hjkmnp-tv-z]{26}$")]
    epoch: Annotated[int, Field(ge=1, le=9007199254740991)]
    step: Annotated[int, Field(ge=0, le=9007199254740991)]
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """
    tree
    """


class Step(RootModel[int]):
    model_config = ConfigDict(
        frozen=True,
    )
    root: Annotated[int, Field(ge=0, le=9007199254740991)]


class ReleaseRequest(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    worker: Annotated[str, Field(pattern="^wrk_[0-9a-hjkmnp-tv-z]{26}$")]
    epoch: Annotated[int, Field(ge=1, le=9007199254740991)]
    reason: Literal["preempted", "cancelled"]
    step: Step | None


class Acknowledged(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    state: str


class Error(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    path: str
    message: str


class Gate(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    name: str
    measured: float | None
    required: str
    detail: str


class Problem(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    type: str
    """
    urn:limbeck:problem:<code>
    """
    code: Literal[
        "invalid_request",
        "malformed_json",
        "body_too_large",
        "unsupported_media_type",
        "unauthenticated",
        "forbidden",
        "not_found",
        "unknown_recipe",
        "invalid_recipe",
        "invalid_override",
        "unknown_asset",
        "asset_exists",
        "unknown_artifact",
        "artifact_not_verified",
        "artifact_mismatch",
        "idempotency_key_reused",
        "idempotency_key_in_progress",
        "lease_lost",
        "output_conflict",
        "conflict",
        "bad_signature",
        "gates_failed",
        "rate_limited",
        "unavailable",
        "internal",
    ]
    title: str
    status: Annotated[int, Field(ge=-9007199254740991, le=9007199254740991)]
    detail: str
    """
    what was found and what is allowed
    """
    request_id: str
    errors: list[Error] | None = None
    """
    for invalid_request, one a path
    """
    gates: list[Gate] | None = None
    """
    for gates_failed
    """


class TrainingConfig(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    steps: Annotated[int, Field(ge=1, le=1000000000)]
    """
    optimizer steps
    """
    batch_size: Annotated[int, Field(ge=1, le=65536)]
    """
    samples a step, over all ranks
    """
    micro_batch: Annotated[int, Field(ge=0, le=65536)] = 0
    """
    samples a forward, over all ranks; gradients add up to the batch and S() scales with the means before the step. 0: the whole batch at once
    """
    precision: Literal["fp32", "bf16"] = "fp32"
    """
    of forward and backward; weights, time, norms, losses and statistics are always fp32
    """
    activation_checkpointing: bool = False
    """
    recompute activations in the backward pass: less memory, a third more time
    """
    compile_blocks: bool = False
    """
    compile the repeated blocks of student and teacher: faster steps after minutes at the start; other rounding than without
    """
    rollbacks: Annotated[int, Field(ge=0, le=100)] = 0
    """
    losses or gradients that are not finite which the stage skips before it fails
    """
    optimizer: OptimizerConfig
    ema_decay: Annotated[float, Field(ge=0.0, le=1.0)] = 0.999
    """
    d in min(d, (1+n)/(10+n)); evaluation, export and children read the EMA
    """
    caption_dropout: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1
    """
    share of samples that train without caption
    """
    encoder_dropout: Annotated[float, Field(ge=0.0, le=1.0)] = 0
    """
    share of samples without the states of one text encoder, for each of the student's by itself; SD3 .464
    """
    log_every: Annotated[int, Field(ge=1, le=1000000000)] = 10
    """
    steps between logged scalars
    """
    validate_every: Annotated[int, Field(ge=1, le=1000000000)] = 250
    """
    steps between held-out statistics by t
    """
    validate_per_bin: Annotated[int, Field(ge=1, le=1024)] = 16
    """
    held-out samples in each of the 20 bins of t
    """
    checkpoint_every: Annotated[int, Field(ge=1, le=1000000000)] = 500
    """
    steps between checkpoints
    """
    seed: Annotated[int, Field(ge=0, le=9007199254740991)] = 0


class DistillDecoderSpec(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    kind: Literal["distill_decoder"] = "distill_decoder"
    decoder: TinyDecoderConfig
    training: TrainingConfig
    teacher_weight: Annotated[float, Field(ge=0.0)] = 0.5
    """
    weight of L1 to the teacher decoder's output
    """
    lpips_weight: Annotated[float, Field(ge=0.0, le=100.0)] = 0
    """
    weight of LPIPS to the image; needs the input perceptual
    """
    gan: PatchGanConfig | None = None


class UnetConfig(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    architecture: Literal["unet"] = "unet"
    latent_channels: Annotated[int, Field(ge=1, le=64)]
    """
    channels of the latent
    """
    latent_size: Annotated[int, Field(ge=1, le=512)]
    """
    latent edge; RoPE tables are built for it
    """
    context_width: Annotated[int, Field(ge=1, le=16384)]
    """
    text token width; SnapGen 2304 (Gemma-2-2b)
    """
    stages: Annotated[list[UnetStage], Field(max_length=6, min_length=2)]
    middle_transformer_blocks: Annotated[int, Field(ge=0, le=32)] = 2
    head_width: Annotated[int, Field(ge=1, le=256)]
    """
    channels of a head, the same in all stages; SnapGen 64
    """
    time_width: Annotated[int, Field(ge=1, le=8192)]
    """
    width of the time embedding; SnapGen 1024
    """
    time_frequencies: Annotated[int, Field(ge=1, le=2048)] = 256
    """
    sinusoidal features before the MLP; SnapGen 256
    """
    separable_convolutions: bool = True
    separable_samplers: bool = True
    expansion: Annotated[float, Field(gt=0.0, le=8.0)] = 2
    """
    middle width of a ResBlock over its base
    """
    expansion_base: Literal["in", "max", "out"] = "max"
    ffn_ratio: Annotated[float, Field(gt=0.0, le=16.0)] = 3
    """
    gated FFN: inner width over width
    """
    attention: Literal["mqa", "mha"] = "mqa"
    qk_norm: Literal["rms_norm", "none"] = "rms_norm"
    rope: bool = True
    """
    2D axial: q and k in SA, q only in CA
    """
    activation: Literal["silu", "hardswish"] = "silu"
    norm_groups: Annotated[int, Field(ge=1, le=256)] = 32
    """
    groups of GroupNorm; SnapGen 32
    """


class DistillSpec(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    kind: Literal["distill"] = "distill"
    time: TimeConfig
    training: TrainingConfig
    teacher_component: Literal["transformer"] = "transformer"
    teacher_text: Literal["cached", "live"] = "cached"
    """
    cached: from the features; live: encoded from the captions as they are trained on (SD3.5's text is 2.7 MB a caption in the cache; its encoders take 11 GB of memory and some 3 % of a step at 1024 px)
    """
    teacher_precision: Literal["fp32", "bf16"] = "fp32"
    """
    of the teacher's weights and arithmetic
    """
    teacher_sharded: bool = False
    """
    each process holds a part of every block (FSDP2); false: a whole copy
    """
    output_weight: Annotated[float, Field(ge=0.0, le=100.0)] = 1
    """
    weight of output KD inside S(); 0 switches it off
    """
    feature_weight: Annotated[float, Field(ge=0.0, le=100.0)] = 1
    """
    weight of feature KD inside S(); 0 switches it off
    """
    scaling: ScalingConfig
    teacher_gate: Literal["warn", "refuse"] = "warn"
    """
    what to do where the teacher's data loss is above the student's in most bins of t; latents smaller than the teacher was made for need 'refuse'
    """


class DistillStepsSpec(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    kind: Literal["distill_steps"] = "distill_steps"
    time: TimeConfig
    grids: dict[str, GridsAdditionalProperty]
    """
    step times from noise to data by number of steps, without the closing 0; each is trained
    """
    time_phases: Annotated[
        list[TimePhase], Field(max_length=16, validate_default=True)
    ] = []
    """
    how often each step time is trained, phase by phase; behind the last: equally often
    """
    training: TrainingConfig
    """
    steps count generator updates
    """
    feature_component: Literal["transformer", "transformer_turbo"] = "transformer_turbo"
    teacher_text: Literal["cached", "live"] = "cached"
    """
    cached: from the features; live: encoded from the captions as they are trained on (SD3.5's text is 2.7 MB a caption in the cache; its encoders take 11 GB of memory and some 3 % of a step at 1024 px)
    """
    teacher_precision: Literal["fp32", "bf16"] = "fp32"
    """
    of the teacher's weights and arithmetic
    """
    teacher_sharded: bool = False
    """
    each process holds a part of every block (FSDP2); false: a whole copy
    """
    require_few_step: bool = True
    """
    refuse a teacher whose snapshot does not mark it few-step
    """
    target: Literal["teacher_velocity", "teacher_samples", "none"] = "teacher_velocity"
    """
    what the reconstruction term follows: the few-step teacher at the same point, or coupled noise-sample pairs of the features
    """
    scaling: ScalingConfig
    ladd: LaddConfig | None
    """
    null: reconstruction term only
    """
    real: Literal["data", "teacher_samples"] = "data"
    """
    the discriminator's real samples
    """


class EvaluateSpec(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    kind: Literal["evaluate"] = "evaluate"
    role: Literal[
        "teacher",
        "control_steps",
        "control",
        "distilled",
        "few_step",
        "base",
        "kd_only",
    ]
    component: Literal["transformer", "transformer_turbo"] | None = None
    """
    the snapshot's own denoiser instead of a model
    """
    text: Literal["student", "teacher"]
    student_text: WordTextConfig | SnapgenTextConfig | None = None
    protocols: Annotated[list[EvaluationProtocol], Field(max_length=16, min_length=1)]
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 50
    """
    images a forward
    """
    grid_prompts: Annotated[int, Field(ge=0, le=64)] = 6
    """
    rows kept for the sample grid
    """


class ExportCoremlSpec(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    kind: Literal["export_coreml"] = "export_coreml"
    student_text: WordTextConfig | SnapgenTextConfig
    minimum_target: Literal["iOS17", "iOS18"] = "iOS18"
    precision: Literal["fp16"] = "fp16"
    layout: Literal["channels_first", "tokens_first"] = "channels_first"
    """
    of the UNet's transformers: [1, channels, 1, tokens] with linear layers as 1x1 convolutions, as the Neural Engine likes it; or as they are trained
    """
    parity_samples: Annotated[int, Field(ge=1, le=64)] = 4
    """
    latents the written file is compared on, at every step time
    """
    palettes: Annotated[list[Literal[8, 6, 4]], Field(max_length=3)] = []
    """
    bits of k-means palettes; for each, a package of the UNet of its own beside the fp16 one
    """
    int8: bool = False
    """
    a package with linear int8 weights, a scale an output channel
    """
    palette_group: Annotated[int, Field(ge=0, le=256)] = 16
    """
    output channels that share a palette (iOS18); 0: one palette a weight
    """
    weight_budget_bytes: Annotated[int, Field(ge=0, le=9007199254740991)] = 0
    """
    of the UNet's weights: unet-mixed.mlpackage gives each layer the bits that its measured sensitivity asks for; 0: none
    """
    sensitivity_cases: Annotated[int, Field(ge=1, le=64)] = 2
    """
    inputs that the sensitivity of each layer is measured on
    """
    worst_operations: Annotated[int, Field(ge=0, le=100)] = 10
    """
    operations with the largest loss against torch in the report; 0 saves their memory
    """
    loop_samples: Annotated[int, Field(ge=0, le=64)] = 2
    """
    samples drawn with the written files beside torch, on every grid; 0: none
    """
    text_encoder: bool = False
    """
    text.mlpackage from token ids, with the tokenizers' files in ios/; for CLIP without Gemma, from the input student_snapshot
    """
    onnx: bool = True
    """
    ONNX Runtime on the same module as an independent check
    """
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    """
    processes that compute palettes
    """


class EvaluationResult(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    role: Annotated[str, Field(max_length=40)]
    protocol: EvaluationProtocol
    protocol_hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """
    SHA-256 of the canonical JSON of the protocol
    """
    parameters: Annotated[int, Field(ge=0, le=9007199254740991)]
    """
    of the denoiser
    """
    overall: Annotated[float, Field(ge=0.0, le=1.0)]
    """
    unweighted mean of the tags
    """
    interval: tuple[float, float]
    """
    bootstrap over prompts
    """
    per_tag: dict[str, TagScore]
    held_out: TagScore | None
    """
    prompts on held-out combinations, as one group
    """
    verdicts: Annotated[list[bool], Field(max_length=100000)]
    """
    correct per prompt in protocol order: for paired differences
    """
    images_per_second: Annotated[float, Field(ge=0.0)]
    extra: Annotated[list[ExtraScore], Field(max_length=16, validate_default=True)] = []


class WorkerRegister(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    name: Annotated[str, Field(max_length=120, min_length=1)]
    boot_id: Annotated[str, Field(max_length=80, min_length=8)]
    """
    new at each start of the agent
    """
    resource_classes: Annotated[
        list[
            Literal[
                "cpu",
                "gpu-24g",
                "gpu-48g",
                "gpu-80g",
                "gpu-141g",
                "detector",
                "vqa",
                "inception",
                "control",
            ]
        ],
        Field(max_length=8, min_length=1),
    ]
    memory_gb: Annotated[float, Field(ge=0.0)]
    gpu_count: Annotated[int, Field(ge=0, le=64)]
    labels: dict[str, str] = {}
    code_digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """
    SHA-256 over the worker package
    """
    environment: WorkerEnvironment


class ScalarModel(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    name: Annotated[str, Field(pattern="^[a-zA-Z0-9_./@-]{1,120}$")]
    steps: Annotated[list[int], Field(max_length=5000)]
    values: Annotated[
        list[float | Literal["NaN", "Infinity", "-Infinity"]], Field(max_length=5000)
    ]


class Array(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    name: Annotated[str, Field(pattern="^[a-zA-Z0-9_./@-]{1,120}$")]
    step: Annotated[int, Field(ge=0, le=1000000000)]
    values: Annotated[
        list[float | Literal["NaN", "Infinity", "-Infinity"] | None],
        Field(max_length=512),
    ]


class MetricBatch(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    epoch: Annotated[int, Field(ge=1, le=9007199254740991)]
    sequence: Annotated[int, Field(ge=0, le=9007199254740991)]
    scalars: Annotated[list[ScalarModel], Field(max_length=500)]
    arrays: Annotated[list[Array], Field(max_length=2000)]


class LogLine(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    time: AwareDatetime
    stream: Literal["stdout", "stderr", "agent"]
    text: Annotated[str, Field(max_length=8000)]


class UploadTickets(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    tickets: list[UploadTicket]
    expires_seconds: Annotated[int, Field(ge=-9007199254740991, le=9007199254740991)]


class FailRequest(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    worker: Annotated[str, Field(pattern="^wrk_[0-9a-hjkmnp-tv-z]{26}$")]
    epoch: Annotated[int, Field(ge=1, le=9007199254740991)]
    reason: Literal[
        "bad_config",
        "bad_input",
        "corrupt_data",
        "non_finite",
        "out_of_memory",
        "teacher_gate",
        "discriminator_won",
        "scorer_broken",
        "disk_full",
        "error",
        "stall",
        "timeout",
        "worker_lost",
        "preempted",
        "output_mismatch",
        "cancelled",
        "cancel_deadline",
        "upstream_failed",
    ]
    """
    why an attempt or a stage ended without success
    """
    message: Annotated[str, Field(max_length=2000)]
    last_log_lines: Annotated[list[str], Field(max_length=50)]


class PretrainAutoencoderSpec(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    kind: Literal["pretrain_autoencoder"] = "pretrain_autoencoder"
    autoencoder: AutoencoderConfig
    text: WordTextConfig
    """
    the text encoder written beside the autoencoder
    """
    training: TrainingConfig
    l1_weight: Annotated[float, Field(ge=0.0)] = 0.3
    kl_weight: Annotated[float, Field(ge=0.0)] = 0.0002


class ExtractFeaturesSpec(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    kind: Literal["extract_features"] = "extract_features"
    student_text: WordTextConfig | SnapgenTextConfig
    teacher_text: bool = True
    """
    also keep the teacher's text (2.7 MB a caption for SD3.5); training without a teacher needs none
    """
    samples_per_shard: Annotated[int, Field(ge=1, le=100000)] = 1000
    """
    samples a shard
    """
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 64
    """
    images a forward
    """
    quarantine_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.01
    """
    largest share of corrupt samples; above it the stage fails
    """
    budget_bytes: Annotated[int, Field(ge=1, le=1000000000000000)] = 2000000000
    """
    largest feature cache; the stage refuses an estimate above it
    """
    teacher_samples: TeacherSamples | None = None


class StageResult(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    metrics: dict[str, float] = {}
    """
    final figures by name, with the unit in the name
    """
    warnings: Annotated[list[str], Field(max_length=100)] = []
    evaluations: Annotated[
        list[EvaluationResult], Field(max_length=16, validate_default=True)
    ] = []


class LogBatch(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    epoch: Annotated[int, Field(ge=1, le=9007199254740991)]
    sequence: Annotated[int, Field(ge=0, le=9007199254740991)]
    lines: Annotated[list[LogLine], Field(max_length=2000)]


class CompleteRequest(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    worker: Annotated[str, Field(pattern="^wrk_[0-9a-hjkmnp-tv-z]{26}$")]
    epoch: Annotated[int, Field(ge=1, le=9007199254740991)]
    output: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """
    tree
    """
    result: StageResult


class PretrainSpec(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    kind: Literal["pretrain"] = "pretrain"
    model: Sd3Config | UnetConfig
    text: Literal["student", "teacher"]
    """
    whose text states the denoiser reads
    """
    time: TimeConfig
    training: TrainingConfig
    role: Literal["base", "control", "teacher"] = "base"
    carry_optimizer: bool = False
    """
    continue with the initial model's optimizer state (a leg of a long training)
    """


class Lease(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    run: Annotated[str, Field(pattern="^run_[0-9a-hjkmnp-tv-z]{26}$")]
    stage: Annotated[str, Field(pattern="^stg_[0-9a-hjkmnp-tv-z]{26}$")]
    name: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,47}$")]
    epoch: Annotated[int, Field(ge=1, le=9007199254740991)]
    lease_seconds: Annotated[int, Field(ge=-9007199254740991, le=9007199254740991)]
    max_seconds: Annotated[int, Field(ge=-9007199254740991, le=9007199254740991)]
    """
    longest duration of the attempt
    """
    stall_seconds: Annotated[int, Field(ge=-9007199254740991, le=9007199254740991)]
    """
    longest silence without progress
    """
    spec: (
        RenderDatasetSpec
        | PretrainAutoencoderSpec
        | ExtractFeaturesSpec
        | DistillDecoderSpec
        | PretrainSpec
        | DistillSpec
        | DistillStepsSpec
        | EvaluateSpec
        | ExportCoremlSpec
        | AnnotateSpec
        | ScoreSpec
        | GatesSpec
    )
    inputs: dict[str, Digest]
    """
    trees by input name
    """
    resume: Resume | None
    """
    newest verified checkpoint
    """


class ClaimResponse(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    lease: Lease | None
    """
    null: nothing to do
    """


class WireTypes(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )
    stage_spec: (
        RenderDatasetSpec
        | PretrainAutoencoderSpec
        | ExtractFeaturesSpec
        | DistillDecoderSpec
        | PretrainSpec
        | DistillSpec
        | DistillStepsSpec
        | EvaluateSpec
        | ExportCoremlSpec
        | AnnotateSpec
        | ScoreSpec
        | GatesSpec
    )
    stage_result: StageResult
    worker_register: WorkerRegister
    worker_registered: WorkerRegistered
    claim_request: ClaimRequest
    claim_response: ClaimResponse
    heartbeat_request: HeartbeatRequest
    heartbeat_response: HeartbeatResponse
    metric_batch: MetricBatch
    metric_receipt: MetricReceipt
    log_batch: LogBatch
    tree_manifest: TreeManifest
    upload_request: UploadRequest
    upload_tickets: UploadTickets
    upload_complete: UploadComplete
    download_request: DownloadRequest
    download_urls: DownloadUrls
    checkpoint_report: CheckpointReport
    complete_request: CompleteRequest
    fail_request: FailRequest
    release_request: ReleaseRequest
    acknowledged: Acknowledged
    problem: Problem
