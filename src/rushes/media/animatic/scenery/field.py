"""Field: meadows, wheat, lavender and snow, from the far trees to the grass at the viewer's feet."""

from rushes.media.animatic.layers import Drawable, Motion, Stage
from rushes.media.animatic.paint import Rgb, from_hex, mix
from rushes.media.animatic.scenery.ground import Ground, Strip, blooms, ground_layer, strip_layer
from rushes.media.animatic.scenery.ridges import GRASS, SNOW, hills
from rushes.media.animatic.scenery.trees import GRASS_GREEN
from rushes.media.animatic.scenery.woods import lone_tree, tree_line
from rushes.media.animatic.vocabulary import COLOURS, Hour

WHEAT: Rgb = (0.86, 0.66, 0.30)
LAVENDER: Rgb = (0.55, 0.42, 0.78)


def meadow(stage: Stage, *, far_hills: bool = True, snowy: bool = False) -> list[Drawable]:
    """The land between the horizon and the foreground strip."""
    rng = stage.chance.stream("meadow")
    palette = stage.palette
    named = stage.scene.colours
    purple = bool({"lavender", "purple", "violet"} & set(named))
    kind = "lavender" if purple else ("wheat" if palette.hour is Hour.GOLDEN and rng.random() < 0.6 else "flowers")
    material = SNOW if snowy else {"lavender": LAVENDER, "wheat": WHEAT}.get(kind, GRASS_GREEN)
    horizon = stage.horizon
    items: list[Drawable] = []
    if far_hills:
        items += hills(stage, count=2, material=mix(GRASS, material, 0.15), foot=horizon)
    items.append(tree_line(stage, depth=0.34, foot=horizon + 0.055, tall=0.060, name="far trees", leafy=not snowy))
    rows = 0.0 if snowy or kind == "flowers" else 0.55
    items.append(ground_layer(stage, Ground(depth=0.5, top=horizon + 0.06, material=material, rows=rows), "field"))
    if kind == "flowers" and not snowy:
        colour = from_hex(COLOURS[named[0]]) if named else palette.accent
        items.append(blooms(stage, colour, 0.55, horizon + 0.09, "blooms"))
        items.append(blooms(stage, mix(palette.sun, (1, 1, 1), 0.5), 0.55, horizon + 0.09, "more blooms"))
    if rng.random() < 0.6:
        side = -1 if palette.sun_x > 0.5 else 1
        items.append(lone_tree(stage, 0.5 + side * float(rng.uniform(0.18, 0.30)), horizon + 0.14, 0.30, 0.55))
    return items


def meadow_strip(stage: Stage, *, snowy: bool = False) -> Drawable:
    """Grass, wheat or snow in front."""
    rng = stage.chance.stream("meadow")
    purple = bool({"lavender", "purple", "violet"} & set(stage.scene.colours))
    golden = stage.palette.hour is Hour.GOLDEN and rng.random() < 0.6
    sway = Motion(sway_x=stage.unit * 0.004, period_s=3.6)
    if snowy:
        return strip_layer(stage, Strip(material=SNOW, cover="none", rough=0.02, crown=0.04))
    if purple:
        return strip_layer(stage, Strip(material=LAVENDER, cover="wheat", cover_tall=0.085), sway)
    if golden:
        return strip_layer(stage, Strip(material=WHEAT, cover="wheat", cover_tall=0.11), sway)
    return strip_layer(stage, Strip(material=GRASS_GREEN, cover="flowers", cover_tall=0.075), sway)
