"""The classical methods: from a case and the evidence for one structure to a mask.

Each is a function of the case (`Seen`), the evidence (`Evidence`) and its parameters, and comes with the values of
them that are tried on the training cases. All return a (k, j, i) array of bool.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from .evidence import Evidence
from .seen import Seen

_HALF = 0.5


def threshold(seen: Seen, evidence: Evidence, darkest: float, brightest: float, place: float) -> np.ndarray:
    """Every voxel in a range of brightness, where the structure was seen in a share `place` of the training cases.

    darkest, brightest: quantiles of the structure's grey values in training.
    """
    low, high = evidence.quantile(darkest), evidence.quantile(brightest)
    return (seen.image >= low) & (seen.image <= high) & (evidence.place > place)


THRESHOLD = {"darkest": (0.01, 0.05, 0.15, 0.3), "brightest": (0.7, 0.85, 0.95, 0.99), "place": (0.0, 0.2, 0.4, 0.6)}


def region_growing(seen: Seen, evidence: Evidence, spread: float, seeds: float, place: float) -> np.ndarray:
    """Confidence-connected growing (ITK) from the most probable voxels.

    spread: accepted distance from the mean of the region, in its standard deviations.
    seeds: share of the greatest probability above which a voxel is a seed.
    """
    likely = np.where(evidence.place > place, evidence.probability, 0)
    if not likely.max() > 0:
        return np.zeros(seen.shape, dtype=bool)
    points = np.argwhere(likely >= seeds * likely.max())
    points = points[:: max(1, len(points) // 50)]
    image = seen.itk(np.where(evidence.place > place, seen.image, -9).astype(np.float32))
    indices = [[int(n) for n in point[::-1]][: image.GetDimension()] for point in points]
    grown = sitk.ConfidenceConnected(
        image, indices, numberOfIterations=2, multiplier=spread, initialNeighborhoodRadius=1, replaceValue=1
    )
    return (seen.array(grown) > 0) & (evidence.place > place)


REGION_GROWING = {"spread": (0.8, 1.2, 1.6, 2.0, 2.5), "seeds": (0.8, 0.95), "place": (0.05, 0.2, 0.4)}


def watershed(seen: Seen, evidence: Evidence, inside: float, outside: float, smooth: float) -> np.ndarray:
    """Watershed on the gradient's magnitude (edges), flooded from sure voxels of the structure and of the rest.

    inside, outside: probabilities above and below which a voxel is sure.
    smooth: standard deviation of the gradient's Gaussian, in voxels of the finest axis.
    """
    markers = np.where(evidence.probability > inside, 1, np.where(evidence.probability < outside, 2, 0))
    if not (markers == 1).any():
        return np.zeros(seen.shape, dtype=bool)
    flooded = sitk.MorphologicalWatershedFromMarkers(
        _edges(seen, smooth), seen.itk(markers.astype(np.uint8)), markWatershedLine=False, fullyConnected=True
    )
    return seen.array(flooded) == 1


WATERSHED = {"inside": (0.5, 0.7, 0.85), "outside": (0.02, 0.1, 0.25), "smooth": (0.5, 1.0, 2.0)}


def morphology(
    seen: Seen, evidence: Evidence, probable: float, opening: int, closing: int, largest: bool
) -> np.ndarray:
    """Probable voxels, opened and closed by balls, holes filled, and perhaps the largest piece alone.

    opening, closing: radii in voxels.
    """
    mask = _with_ball(ndimage.binary_opening, evidence.probability > probable, opening)
    mask = _without_holes(_with_ball(ndimage.binary_closing, mask, closing))
    return _largest(mask) if largest else mask


MORPHOLOGY = {"probable": (0.3, 0.4, 0.5, 0.6), "opening": (0, 1), "closing": (0, 1, 2), "largest": (False, True)}


def geodesic_active_contour(
    seen: Seen, evidence: Evidence, start: float, swelling: float, bending: float
) -> np.ndarray:
    """Geodesic active contours, Caselles et al. 1997, doi:10.1023/A:1007979827043, by ITK's level set.

    start: probability that the first contour follows.
    swelling, bending: scales of propagation and of curvature; the pull towards edges has scale 1.
    """
    contour = _signed_distance(seen, evidence.probability > start)
    if contour is None:
        return np.zeros(seen.shape, dtype=bool)
    edges = _edges(seen, 1.0)
    middle = float(np.quantile(sitk.GetArrayViewFromImage(edges), 0.8))
    speed = sitk.Sigmoid(edges, alpha=-max(middle, 1e-6) / 3, beta=max(middle, 1e-6), outputMaximum=1, outputMinimum=0)
    moved = sitk.GeodesicActiveContourLevelSet(
        contour,
        speed,
        maximumRMSError=0.01,
        propagationScaling=swelling,
        curvatureScaling=bending,
        advectionScaling=1.0,
        numberOfIterations=80,
    )
    return seen.array(moved) < 0


GEODESIC = {"start": (0.3, 0.45, 0.6), "swelling": (-0.5, 0.0, 0.5), "bending": (0.3, 1.0)}


def chan_vese(seen: Seen, evidence: Evidence, start: float, bending: float, trust: float) -> np.ndarray:
    """Active contours without edges, Chan and Vese 2001, doi:10.1109/83.902291, moved by threshold dynamics.

    That is Esedoglu and Tsai 2006, doi:10.1016/j.jcp.2005.05.027: each voxel goes to the nearer mean, then the border
    moves by its curvature (a Gaussian, cut at one half). ITK's dense level set takes 25 ms an iteration on 60,000
    voxels and stops short of the border. The grey values are mixed with the probability, since brightness alone
    rarely tells an organ.

    start: probability that the first contour follows.
    bending: standard deviation of the Gaussian, in voxels.
    trust: share of the probability in the mixture.
    """
    mask, allowed = evidence.probability > start, evidence.place > 0
    feature = (1 - trust) * np.clip(seen.image, 0, 1) + trust * evidence.probability
    width = [bending if size > 1 else 0 for size in seen.shape]
    for _ in range(15):
        if not mask.any() or mask.all():
            break
        inside, outside = feature[mask].mean(), feature[~mask].mean()
        nearer = np.abs(feature - inside) < np.abs(feature - outside)
        mask, before = (ndimage.gaussian_filter(nearer.astype(np.float32), width) > _HALF) & allowed, mask
        if (mask == before).all():
            break
    return mask


CHAN_VESE = {"start": (0.3, 0.5), "bending": (0.5, 1.0, 1.5), "trust": (0.3, 0.6, 0.9)}


def _edges(seen: Seen, sigma_voxels: float) -> sitk.Image:
    """Magnitude of the gradient of the smoothed image, by millimetre."""
    axes = [axis for axis, size in enumerate(seen.shape) if size > 1]
    sigma_mm = sigma_voxels * min(seen.spacing_mm)
    smooth = ndimage.gaussian_filter(seen.image, [sigma_mm / seen.spacing_mm[2 - axis] for axis in axes], axes=axes)
    slopes = [np.gradient(smooth, seen.spacing_mm[2 - axis], axis=axis) for axis in axes]
    return seen.itk(np.sqrt(sum(slope**2 for slope in slopes)).astype(np.float32))


def _signed_distance(seen: Seen, mask: np.ndarray) -> sitk.Image | None:
    """Distance in mm to the mask's border, negative inside; None for an empty mask."""
    if not mask.any() or mask.all():
        return None
    return sitk.SignedMaurerDistanceMap(
        seen.itk(mask), insideIsPositive=False, squaredDistance=False, useImageSpacing=True
    )


def _with_ball(operation, mask: np.ndarray, radius: int) -> np.ndarray:
    """The morphological operation with a ball of so many voxels; a disc where there is one slice."""
    if radius == 0:
        return mask
    reach = np.arange(-radius, radius + 1)
    depth = reach if mask.shape[0] > 1 else np.zeros(1, dtype=int)
    ball = sum(np.square(g) for g in np.meshgrid(depth, reach, reach, indexing="ij")) <= radius**2 + 0.5
    return operation(mask, ball)


def _without_holes(mask: np.ndarray) -> np.ndarray:
    """In a single slice every voxel borders on the outside, hence as an image of two dimensions."""
    return ndimage.binary_fill_holes(mask[0])[None] if mask.shape[0] == 1 else ndimage.binary_fill_holes(mask)


def _largest(mask: np.ndarray) -> np.ndarray:
    pieces, count = ndimage.label(mask, np.ones((3, 3, 3)))
    if count < 2:
        return mask
    return pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])
