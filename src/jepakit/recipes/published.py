"""Published settings for machines that can hold them; where ours differ, each recipe says how.

They are here to be read, compared and run on a cluster; parameter counts and schedules are tested against the facts.
All learn from every image of `--data.train`, so probes need `--data.probe` and `--data.test`. All deviate in one thing:
images are kept as squares of `stored_size`, cut from the middle, and views are cropped from those, not from the whole
picture. On small data they do poorly: I-JEPA reached 34% on Imagenette in a public sweep (stable-pretraining, 2026).
"""

from dataclasses import replace

from jepakit.masking import MultiBlock
from jepakit.methods import IJEPAConfig, LeJEPAConfig, VICRegConfig
from jepakit.nn import ResNetConfig, ViTConfig
from jepakit.objectives import weight_from
from jepakit.recipes.config import ImageRecipe
from jepakit.recipes.data import ImageData
from jepakit.training import TrainingConfig
from jepakit.views import IMAGENET_MEAN, IMAGENET_STD, Augment, MultiCrop, Preprocess

_IMAGENET = Preprocess(image_size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD)
_IMAGENET_STEPS = 625  # 1,281,167 images in batches of 2,048, the last one dropped


def _ijepa(name: str, encoder: ViTConfig, predictor_depth: int, num_steps: int, warmup_steps: int) -> ImageRecipe:
    method = IJEPAConfig(
        encoder=encoder,
        mask=MultiBlock(grid=encoder.grid, mode="paper"),
        augment=Augment(image_size=224, crop_scale=(0.3, 1.0)),
        preprocess=_IMAGENET,
        predictor_dim=384,
        predictor_depth=predictor_depth,
        predictor_heads=16,
        momentum=0.996,
    )
    return ImageRecipe(
        recipe=name,
        method=method,
        data=ImageData(train="imagenet", labels="none", stored_size=256),
        training=TrainingConfig(
            num_steps=num_steps,
            batch_size=2048,
            learning_rate=1e-3,
            initial_learning_rate=2e-4,
            final_learning_rate=1e-6,
            warmup_steps=warmup_steps,
            weight_decay=0.04,
            final_weight_decay=0.4,
            precision="bf16",
            health_every=5 * _IMAGENET_STEPS,
            save_every_s=600.0,
            num_workers=8,
        ),
    )


def ijepa_vith14() -> ImageRecipe:
    """I-JEPA ViT-H/14 on ImageNet-1k: 300 epochs, batch 2,048, under 72 hours on 16 A100; 79.3% linear reported."""
    encoder = ViTConfig(image_size=224, patch_size=14, dim=1280, depth=32, num_heads=16)
    return _ijepa("ijepa-vith14", encoder, 12, 300 * _IMAGENET_STEPS, 40 * _IMAGENET_STEPS)


def ijepa_vitg16() -> ImageRecipe:
    """I-JEPA ViT-g/16 on ImageNet-22k: 44 epochs, batch 2,048 (16 a GPU on 128 GPUs)."""
    encoder = ViTConfig(image_size=224, patch_size=16, dim=1408, depth=40, num_heads=16, mlp_dim=6144)
    steps = 14_197_122 // 2048
    return _ijepa("ijepa-vitg16", encoder, 16, 44 * steps, 3 * steps)


def lejepa_vitl14() -> ImageRecipe:
    """LeJEPA ViT-L/14 on ImageNet-1k: 2 global and 6 local views, one weight of 0.05, 100 epochs in batches of 512.

    The weight mixes the paper's two terms, of which SIGReg is N times ours: 0.05 * 512 / 0.95 to one here.
    """
    large = Augment(
        image_size=224,
        crop_scale=(0.3, 1.0),
        flip_prob=0.5,
        jitter_prob=0.8,
        gray_prob=0.2,
        blur_prob=0.5,
        solarize_prob=0.2,
    )
    views = MultiCrop(
        global_=large,
        local=replace(large, image_size=98, crop_scale=(0.05, 0.3)),
        num_global=2,
        num_local=6,
    )
    encoder = ViTConfig(image_size=224, patch_size=14, dim=1024, depth=24, num_heads=16)
    steps = 100 * (1_281_167 // 512)
    mixed = weight_from("lejepa", 0.05, num_samples=512)
    return ImageRecipe(
        recipe="lejepa-vitl14",
        method=LeJEPAConfig(
            encoder=encoder,
            views=views,
            preprocess=_IMAGENET,
            projector_dims=(2048, 2048, 64),
            sigreg_weight=mixed.sigreg / mixed.prediction,
        ),
        data=ImageData(train="imagenet", labels="none", stored_size=256),
        training=TrainingConfig(
            num_steps=steps,
            batch_size=512,
            learning_rate=5e-4,
            final_learning_rate=5e-7,
            warmup_steps=steps // 10,
            weight_decay=0.05,
            precision="bf16",
            save_every_s=600.0,
            num_workers=8,
        ),
    )


def cifar10_ebjepa() -> ImageRecipe:
    """EB-JEPA's CIFAR-10 setting: ResNet-18 with the small-image stem, VICReg, 300 epochs; 90.1% linear reported.

    Its weights 1, 1 and 80 are of terms that add both views, the covariance as a mean over pairs of dimensions. Not as
    published: AdamW at 1e-3 with clipping as ever in place of LARS at 0.3, and a warm-up from zero.
    """
    steps = 50_000 // 256
    augment = Augment(
        image_size=32,
        crop_scale=(0.2, 1.0),
        flip_prob=0.5,
        jitter=(0.4, 0.4, 0.2, 0.1),
        jitter_prob=0.8,
        gray_prob=0.2,
        solarize_prob=0.1,
    )
    method = VICRegConfig(
        encoder=ResNetConfig(),
        augment=augment,
        preprocess=Preprocess(image_size=32, mean=(0.491, 0.482, 0.447), std=(0.247, 0.243, 0.262)),
        projector_dims=(2048, 2048, 2048),
        invariance_weight=1.0,
        variance_weight=2.0,
        covariance_weight=2 * 80 / 2047,
    )
    return ImageRecipe(
        recipe="cifar10-ebjepa",
        method=method,
        data=ImageData(train="images", labels="none", stored_size=32),
        training=TrainingConfig(
            num_steps=300 * steps,
            batch_size=256,
            learning_rate=1e-3,
            warmup_steps=10 * steps,
            weight_decay=1e-4,
            precision="bf16",
        ),
    )
