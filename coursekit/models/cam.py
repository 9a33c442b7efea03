"""Class activation maps: which places of an image spoke for a class (Zhou et al. 2016)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["ClassActivationMap", "class_activation_map"]


@dataclass(frozen=True, eq=False)
class ClassActivationMap:
    """Evidence for one class at every position of the last feature map.

    Attributes:
        map: float32, (h, w): ``sum_k weight[class, k] * features[k]``. Its mean plus ``bias`` is ``logit``.
        class_index: the class that the map speaks for.
        bias: bias of that class in the linear layer; 0 where the layer has none.
        logit: the model's output for the class.
        probability: softmax of the outputs, at the class.
    """

    map: Tensor
    class_index: int
    bias: float
    logit: float
    probability: float

    def __repr__(self) -> str:
        height, width = self.map.shape
        return (
            f"ClassActivationMap({height}x{width}, class_index={self.class_index}, "
            f"logit={self.logit:.2f}, probability={self.probability:.3f})"
        )


def class_activation_map(model: nn.Module, image: Tensor, class_index: int | None = None) -> ClassActivationMap:
    """Weigh the channels of the last feature map as the classifier does, before they are averaged.

    A network that ends in global average pooling and one linear layer computes, for class c,

        logit_c = bias_c + sum_k weight_ck * mean_xy f_k(x, y) = bias_c + mean_xy ( sum_k weight_ck * f_k(x, y) ).

    The bracket is the map (Zhou et al. 2016, equation 2): the two sums may change places because both are linear.

    Args:
        model: any classifier with that ending, for example a ResNet or EfficientNet. It is run once in evaluation
            mode and left in the mode that it had.
        image: one normalised image, (3, H, W) or (1, 3, H, W).
        class_index: the class to explain; by default the one with the largest output.

    Returns:
        The map at the resolution of the last feature map, with the class and its probability.

    Raises:
        TypeError: ``image`` is not a floating-point tensor.
        ValueError: ``image`` is not one image, ``class_index`` is not a class of the model, or the model's linear layer
            is not fed by the plain average of a feature map.
    """
    if not isinstance(image, Tensor) or not image.is_floating_point():
        raise TypeError("image must be a floating-point tensor, normalised as the model expects")
    batch = image.detach() if image.ndim == 4 else image.detach().unsqueeze(0)
    if batch.ndim != 4 or batch.shape[0] != 1:
        raise ValueError(f"image must be one image, (C, H, W) or (1, C, H, W), got {tuple(image.shape)}")

    linear = _last_linear(model)
    features, pooled, logits = _run(model, linear, batch)
    classes = logits.numel()
    if class_index is None:
        class_index = int(logits.argmax())
    if not 0 <= class_index < classes:
        raise ValueError(f"class_index must be from 0 to {classes - 1}, got {class_index}")
    if features is None or pooled.shape != features.shape[:1] or not _is_mean(pooled, features):
        raise ValueError(
            "a class activation map needs the plain average of a feature map straight before the last linear layer; in "
            f"{type(model).__name__} something else feeds it, or the image is so small that the map has one position"
        )
    weight = linear.weight.detach()[class_index]
    return ClassActivationMap(
        map=torch.einsum("k,khw->hw", weight, features).float(),
        class_index=class_index,
        bias=0.0 if linear.bias is None else float(linear.bias.detach()[class_index]),
        logit=float(logits[class_index]),
        probability=float(logits.float().softmax(0)[class_index]),
    )


def _last_linear(model: nn.Module) -> nn.Linear:
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not linears:
        raise ValueError(f"{type(model).__name__} has no linear layer, so no class weights to map")
    return linears[-1]


def _run(model: nn.Module, linear: nn.Linear, batch: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
    """Last feature map (K, h, w) before the linear layer, what that layer received (K,), and the logits."""
    features: list[Tensor] = []
    pooled: list[Tensor] = []

    def keep_feature_map(_: nn.Module, __: tuple[Tensor, ...], output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[-2:] != (1, 1) and not pooled:
            features[:] = [output]  # only the latest: earlier maps may be large

    def keep_input(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        pooled[:] = [inputs[0]]

    modes = {module: module.training for module in model.modules()}
    hooks = [module.register_forward_hook(keep_feature_map) for module in model.modules()]
    hooks.append(linear.register_forward_pre_hook(keep_input))
    try:
        model.eval()
        with torch.no_grad():
            logits = model(batch)
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes.items():
            module.training = training
    if not pooled:
        raise ValueError(f"the last linear layer of {type(model).__name__} takes no part in its forward pass")
    return (features[0][0] if features else None), pooled[0].flatten(), logits.flatten()


def _is_mean(pooled: Tensor, features: Tensor) -> bool:
    return torch.allclose(pooled, features.mean((1, 2)), rtol=1e-3, atol=1e-5)
