"""What torchvision and timm say of the images that their weights expect: fixtures/contracts.json.

    python contracts.py

torchvision: of every version of a network's weights, ``transforms()``, whether it is the default one, and the
digits of its SHA-256 that stand in its file's name. timm: ``get_pretrained_cfg`` of the names in ``TIMM``.
"""

import re

import torchvision.models
from hashed import versions, write_json
from timm.models import get_pretrained_cfg

NETWORKS = [
    *(f"efficientnet_b{number}" for number in range(8)),
    "efficientnet_v2_s", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large",
    "resnet18", "resnet34", "resnet50", "resnet101", "squeezenet1_1", "convnext_tiny", "vit_b_16",
]
# For images of 384 pixels, which takes another network.
LEFT_OUT = {"IMAGENET1K_SWAG_E2E_V1"}
TIMM = [
    "efficientnet_b0.ra_in1k", "efficientnet_b1.ft_in1k", "efficientnet_b2.ra_in1k", "efficientnet_b3.ra2_in1k",
    "efficientnet_b4.ra2_in1k", "tf_efficientnet_b5.ns_jft_in1k", "tf_efficientnet_b6.ns_jft_in1k",
    "tf_efficientnet_b7.ns_jft_in1k", "tf_efficientnetv2_s.in21k_ft_in1k", "mobilenetv2_100.ra_in1k",
    "mobilenetv3_small_100.lamb_in1k", "mobilenetv3_large_100.ra_in1k", "resnet18.a1_in1k", "resnet34.a1_in1k",
    "resnet50.a1_in1k", "resnet101.a1_in1k", "convnext_tiny.fb_in1k",
    "vit_base_patch16_224.augreg2_in21k_ft_in1k",
]


def of_torchvision():
    for network in NETWORKS:
        versions_of = torchvision.models.get_model_weights(network)
        for weights in versions_of:
            if weights.name in LEFT_OUT:
                continue
            images = weights.transforms()
            yield {
                "network": network,
                "name": weights.name,
                "usual": weights == versions_of.DEFAULT,
                "sha256": re.search(r"-([0-9a-f]{8})\.pth$", weights.url)[1],
                "size": images.crop_size[0],
                "resize": images.resize_size[0],
                "filter": images.interpolation.value,
                "mean": images.mean,
                "std": images.std,
            }


def of_timm():
    for name in TIMM:
        config = get_pretrained_cfg(name)
        yield {
            "name": name,
            "size": config.input_size[2],
            "crop": config.crop_pct,
            "filter": config.interpolation,
            "mean": list(config.mean),
            "std": list(config.std),
        }


def main():
    rows = {"torchvision": list(of_torchvision()), "timm": list(of_timm())}
    write_json("contracts.json", rows | {"versions": versions("timm", "torchvision")})


if __name__ == "__main__":
    main()
