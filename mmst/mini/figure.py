"""A person: an articulated figure that knows where its joints are.

It is symmetric but for its pose, as people are: what tells left from right is
whether the face or the back of the head is seen. (Limbs coloured by side would
contradict themselves as soon as training flips a picture.)
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .canvas import Canvas, Color, shaded, whole

__all__ = ['FREE', 'KEYPOINTS', 'WALKING', 'Pose', 'draw_figure']

KEYPOINTS = (
    'nose',
    *('left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder', 'right_shoulder'),
    *('left_elbow', 'right_elbow', 'left_wrist', 'right_wrist', 'left_hip', 'right_hip'),
    *('left_knee', 'right_knee', 'left_ankle', 'right_ankle'),
)
"""COCO's keypoints, in its order; left and right are the person's."""

_Range = tuple[float, float]
_Joints = dict[str, np.ndarray]

_SIDES = {'west': -1, 'east': 1}  # of the picture
_FROM_BEHIND = {'left': 'west', 'right': 'east'}
_FROM_THE_FRONT = {'left': 'east', 'right': 'west'}
_SKIN = ((150, 190, 235), (120, 165, 215), (75, 115, 170), (50, 75, 115))
_HAIR = ((25, 30, 35), (30, 55, 90), (90, 170, 215), (150, 150, 155), (25, 60, 140))
_HEAD = 0.26  # metres, as all lengths here
# Everyone wears pads and bands, like a skater: each joint can be told by its looks.
_PADS = {
    'shoulder': (40, 140, 250),
    'elbow': (60, 225, 245),
    'wrist': (245, 245, 245),
    'hip': (30, 30, 35),
    'knee': (235, 200, 60),
    'ankle': (70, 200, 90),
}


@dataclasses.dataclass(frozen=True)
class Pose:
    """Ranges of the angles between bones, in degrees.

    Attributes:
        lean: Of the spine, from upright; either way.
        arm: Of the upper arm, from hanging down to outwards.
        elbow: Of the forearm, from straight to upwards.
        leg: Of the thigh, from hanging down to outwards.
        knee: Of the shin, from straight to outwards.
    """

    lean: float
    arm: _Range
    elbow: _Range
    leg: _Range
    knee: _Range


FREE = Pose(lean=10, arm=(8, 140), elbow=(-115, 130), leg=(2, 35), knee=(-40, 12))
WALKING = Pose(lean=2, arm=(6, 18), elbow=(-15, 5), leg=(1, 10), knee=(-8, 0))


@dataclasses.dataclass(frozen=True)
class _Part:
    """A bone with flesh on it.

    Attributes:
        bone: The two joints at its ends.
        width: Its thickness.
        paint: What gives it its colour.
        joints: The joints that it shows.
    """

    bone: tuple[str, str]
    width: float
    paint: str
    joints: tuple[str, ...]


def _body() -> tuple[_Part, ...]:
    """The parts of the body, from back to front."""
    head = ('nose', *(f'{side}_{part}' for side in _SIDES for part in ('eye', 'ear')))
    trunk = tuple(f'{side}_{part}' for side in _SIDES for part in ('shoulder', 'hip'))
    legs: list[_Part] = []
    arms: list[_Part] = []
    for side in _SIDES:
        for limb, (start, stop, width, paint) in (
            (legs, ('ankle', 'toe', 0.09, 'shoe')),
            (legs, ('hip', 'knee', 0.16, 'trousers')),
            (legs, ('knee', 'ankle', 0.12, 'shin')),
            (legs, ('knee', 'knee', 0.14, 'knee')),
            (legs, ('ankle', 'ankle', 0.12, 'ankle')),
            (arms, ('shoulder', 'elbow', 0.115, 'shirt')),
            (arms, ('shoulder', 'shoulder', 0.1, 'shoulder')),
            (arms, ('elbow', 'wrist', 0.09, 'forearm')),
            (arms, ('elbow', 'elbow', 0.12, 'elbow')),
            (arms, ('wrist', 'hand', 0.085, 'skin')),
            (arms, ('wrist', 'wrist', 0.1, 'wrist')),
        ):
            bone = f'{side}_{start}', f'{side}_{stop}'
            limb.append(_Part(bone, width, paint, bone))
    pockets = [_Part((f'{side}_hip',) * 2, 0.08, 'hip', (f'{side}_hip',)) for side in _SIDES]
    return (
        *legs,
        _Part(('pelvis', 'neck'), 0.3, 'shirt', trunk),
        *pockets,
        _Part(('neck', 'head'), 0.1, 'skin', ()),
        *arms,
        _Part(('head', 'head'), _HEAD, 'skin', head),
    )


_BODY = _body()


def draw_figure(canvas: Canvas, rng: np.random.Generator, pose: Pose = FREE) -> np.ndarray:
    """Draws a person, from the front or from behind.

    Args:
        canvas: Canvas, which the figure fills.
        rng: Source of pose, view and clothes.
        pose: How far the limbs may bend.

    Returns:
        (17, 3) float64: for each of :data:`KEYPOINTS` its x and y on the canvas, and COCO's
        visibility: 0 where it cannot be told (the face from behind), 1 where the figure itself
        hides it, 2 where it is seen.
    """
    from_behind = bool(rng.uniform() < 0.25)
    joints, scale = _fit(_random_joints(rng, pose))
    colors = _random_colors(rng)
    for part in _BODY:
        ends = [joints[name] for name in part.bone]
        canvas.line(ends, colors[part.paint], part.width * scale)
        if part.bone == ('pelvis', 'neck'):
            corners = ('west_shoulder', 'east_shoulder', 'east_hip', 'west_hip')
            canvas.polygon([joints[name] for name in corners], colors['shirt'])
    _draw_head(canvas, joints, scale, colors, from_behind)
    return _keypoints(joints, scale, from_behind)


def _random_joints(rng: np.random.Generator, pose: Pose) -> _Joints:
    """Draws a pose; returns the joints in metres from the pelvis, y down."""
    lean = np.radians(rng.uniform(-pose.lean, pose.lean))
    across, down = np.array([np.cos(lean), np.sin(lean)]), np.array([-np.sin(lean), np.cos(lean)])
    neck = -0.53 * down
    head = neck - 0.22 * down + rng.uniform(-0.03, 0.03) * across
    face = head + rng.uniform(-0.03, 0.03) * across
    joints = dict(pelvis=-0.05 * down, neck=neck + 0.1 * down, head=head, nose=face + 0.03 * down)
    for name, side in _SIDES.items():
        joints[f'{name}_eye'] = face + side * 0.05 * across - 0.025 * down
        joints[f'{name}_ear'] = head + side * 0.12 * across
        joints[f'{name}_shoulder'] = neck + side * 0.19 * across + 0.04 * down
        joints[f'{name}_hip'] = side * 0.1 * across
        for chain, lengths, angles in (
            (('shoulder', 'elbow', 'wrist', 'hand'), (0.29, 0.27, 0.05), (pose.arm, pose.elbow)),
            (('hip', 'knee', 'ankle'), (0.42, 0.42), (pose.leg, pose.knee)),
        ):
            bends = [np.radians(rng.uniform(*limits)) for limits in angles]
            _add_limb(joints, [f'{name}_{joint}' for joint in chain], lengths, bends, side)
        joints[f'{name}_toe'] = joints[f'{name}_ankle'] + (0.07 * side, 0.05)
    return joints


def _add_limb(
    joints: _Joints, chain: list[str], lengths: tuple[float, ...], bends: list[float], side: int
) -> None:
    """Adds the joints of an arm or leg, from its first one on."""
    angle = 0.0
    for index, length in enumerate(lengths):
        angle += bends[index] if index < len(bends) else 0
        bone = np.array([side * np.sin(angle), np.cos(angle)])
        joints[chain[index + 1]] = joints[chain[index]] + length * bone


def _fit(joints: _Joints) -> tuple[_Joints, float]:
    """Scales a figure to fill a canvas; returns the canvas' units per metre, too."""
    points = np.array([joints[name] for part in _BODY for name in part.bone])
    radii = np.array([part.width / 2 for part in _BODY for _ in part.bone])[:, None]
    low, high = (points - radii).min(axis=0), (points + radii).max(axis=0)
    scale = 1.96 / max(high - low)
    return {name: (point - (low + high) / 2) * scale for name, point in joints.items()}, scale


def _random_colors(rng: np.random.Generator) -> dict[str, Color]:
    skin = _SKIN[rng.integers(len(_SKIN))]
    # Muted: saturated colours are kept for the pads.
    cloth = rng.uniform(60, 190, (3, 1)) + rng.uniform(-45, 45, (3, 3))
    shirt, trousers, socks = map(whole, cloth)
    return {
        'skin': skin,
        'hair': _HAIR[rng.integers(len(_HAIR))],
        'shirt': shirt,
        'trousers': trousers,
        'shin': (skin, socks)[rng.integers(2)],
        'forearm': (skin, socks)[rng.integers(2)],
        'shoe': (35, 35, 45),
        **_PADS,
    }


def _draw_head(
    canvas: Canvas, joints: _Joints, scale: float, colors: dict[str, Color], from_behind: bool
) -> None:
    head, radius = joints['head'], _HEAD / 2 * scale
    for side in _SIDES:
        canvas.circle(joints[f'{side}_ear'], 0.28 * radius, colors['skin'])
    if from_behind:
        canvas.circle(head, 0.98 * radius, colors['hair'])
        return
    up = head - joints['neck']
    crown = np.arctan2(*up[::-1])
    arc = crown + np.linspace(-1.25, 1.25, 16)
    canvas.polygon(head + 1.05 * radius * np.stack([np.cos(arc), np.sin(arc)], 1), colors['hair'])
    for side in _SIDES:
        canvas.circle(joints[f'{side}_eye'], 0.24 * radius, (250, 250, 250))
        canvas.circle(joints[f'{side}_eye'], 0.13 * radius, (40, 30, 20))
    nose = joints['nose']
    canvas.circle(nose, 0.14 * radius, shaded(colors['skin'], 0.72))
    mouth = nose - 0.35 * radius * up / np.hypot(*up)
    canvas.line([mouth - (0.3 * radius, 0), mouth + (0.3 * radius, 0)], (60, 50, 150), 0.1 * radius)


def _keypoints(joints: _Joints, scale: float, from_behind: bool) -> np.ndarray:
    sides = _FROM_BEHIND if from_behind else _FROM_THE_FRONT
    keypoints = np.zeros((len(KEYPOINTS), 3))
    for row, name in zip(keypoints, KEYPOINTS, strict=True):
        side, _, joint = name.partition('_')
        own = f'{sides[side]}_{joint}' if joint else name
        if not (from_behind and name.endswith(('nose', 'eye'))):
            row[:] = (*joints[own], 1 if _is_hidden(own, joints, scale) else 2)
    return keypoints


def _is_hidden(name: str, joints: _Joints, scale: float) -> bool:
    """Returns whether a part of the body hides a joint and everything that shows it."""
    last = max(index for index, part in enumerate(_BODY) if name in part.joints)
    return any(_covers(part, joints, scale, joints[name]) for part in _BODY[last + 1 :])


def _covers(part: _Part, joints: _Joints, scale: float, point: np.ndarray) -> bool:
    start, stop = (joints[name] for name in part.bone)
    along = stop - start
    position = np.clip((point - start) @ along / max(along @ along, 1e-9), 0, 1)
    return bool(np.hypot(*(point - start - position * along)) < part.width / 2 * scale)
