"""Designs: colours, captions and layout of the plates of each region, as plain facts.

Does: says which design a region may carry and how often a region occurs.
Does not: draw; `art` does. No picture is stored here, the designs were only looked at.

Rules: colours are letters of `PALETTE`; an emblem is a name that `decor` draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

PALETTE: Final[dict[str, tuple[int, int, int]]] = {
    "k": (24, 22, 22), "n": (92, 40, 24), "b": (160, 80, 30), "g": (60, 92, 24), "r": (44, 34, 190),
    "w": (240, 242, 242), "y": (70, 210, 250), "o": (40, 130, 240), "m": (50, 30, 110),
    "s": (196, 198, 196), "t": (150, 150, 40), "p": (140, 60, 110), "l": (235, 215, 185),
    "c": (205, 232, 242), "d": (130, 60, 20), "e": (190, 220, 190), "f": (170, 190, 235),
    "a": (120, 122, 124),
}  # fmt: skip
"""Colour letter -> BGR."""


@dataclass(frozen=True, slots=True)
class Design:
    """One plate design in the American manner: captions above and below the serial."""

    ink: str
    """Colour letters of the characters, one is drawn."""
    base: str
    """Colour letters of the background, one is drawn."""
    top: tuple[str, ...]
    bottom: tuple[str, ...] = ("",)
    scene: tuple[str, ...] = ("plain",)
    emblem: str = "dot"
    dies: tuple[str, ...] = ("us_round", "us_square", "us_flat")
    caption: str = "nrbgk"
    """Colour letters of the captions."""
    weight: float = 1.0


def _us(ink: str, base: str, text: str, scene: str = "plain", emblem: str = "dot",
        dies: str = "us_round us_square us_flat", **rest: float) -> Design:  # fmt: skip
    """Write a design in short: `text` is `top|top>bottom|bottom`."""
    top, _, bottom = text.partition(">")
    return Design(
        ink, base, tuple(top.split("|")), tuple(bottom.split("|")), tuple(scene.split()), emblem,
        tuple(dies.split()), weight=rest.get("weight", 1.0),
    )  # fmt: skip


_CAL: Final = "california"
US_DESIGNS: Final[dict[str, tuple[Design, ...]]] = {
    "us-ca": (
        Design("n", "w", ("~California",), ("dmv.ca.gov", "", "dmv.ca.gov"), dies=(_CAL,),
               caption="r", weight=9),
        Design("n", "w", ("CALIFORNIA",), ("", "The Golden State"), dies=(_CAL,), caption="rn",
               weight=1.5),
        Design("y", "kk", ("CALIFORNIA",), ("",), dies=(_CAL,), caption="y", weight=1.2),
        Design("y", "b", ("CALIFORNIA",), ("",), dies=(_CAL,), caption="y", weight=0.7),
        Design("n", "wcl", ("~California",), ("PROTECT LAKE TAHOE", "YOSEMITE", "HONORING VETERANS",
               "SPAY & NEUTER SAVES LIVES", "PROTECT OUR COAST & OCEAN", "ARTS", "museums"),
               ("hills", "fade", "picture", "plain"), "heart", (_CAL,), "r", 1.6),
    ),
    "us-al": (_us("k", "wlc", "ALABAMA|~Alabama|Sweet Home>Heart of Dixie|www.alabama.travel",
                  "fade picture", dies="us_flat"),),
    "us-ak": (_us("b", "y", "ALASKA>The Last Frontier", emblem="flag"),
              _us("r", "w", "ALASKA>The Last Frontier", "picture", "bear")),
    "us-az": (_us("gk", "wl", "ARIZONA>Grand Canyon State|GRAND CANYON STATE", "desert", "sun",
                  weight=2.0),
              _us("g", "w", "ARIZONA>", "desert"), _us("w", "m", "ARIZONA>GRAND CANYON STATE")),
    "us-ar": (_us("kb", "w", "Arkansas|ARKANSAS>The Natural State", "plain fade", "diamond"),),
    "us-co": (_us("g", "w", "|COLORADO>COLORADO", "mountains"),
              _us("w", "g", "COLORADO>", "mountains"), _us("r", "w", "COLORADO>", "picture")),
    "us-ct": (_us("n", "lw", "Connecticut|CONNECTICUT>Constitution State", "fade"),),
    "us-de": (_us("y", "n", ">DELAWARE|THE FIRST STATE"),),
    "us-dc": (_us("n", "w", "WASHINGTON, D.C.>TAXATION WITHOUT REPRESENTATION|A CAPITAL CITY",
                  "bands", "flag", "us_flat"),),
    "us-fl": (_us("g", "w", "MYFLORIDA.COM|FLORIDA>SUNSHINE STATE|IN GOD WE TRUST|MIAMI-DADE",
                  "plain fade", "orange", weight=3.0),
              _us("gkr", "wlo", "FLORIDA>Save the Manatee|Protect Wild Dolphins", "picture",
                  "orange")),
    "us-ga": (_us("k", "wc", "GEORGIA|Georgia>CHATTAHOOCHEE|FULTON|GWINNETT|IN GOD WE TRUST|COBB",
                  "plain picture hills", "peach", "us_flat us_square"),),
    "us-hi": (_us("k", "w", "HAWAII>ALOHA STATE", "rainbow", "dot"),),
    "us-id": (_us("nk", "w", "IDAHO|~Scenic IDAHO>Famous Potatoes|SCENIC IDAHO", "hills bands"),),
    "us-il": (_us("kr", "wl", "~Illinois|ILLINOIS>Land of Lincoln|LAND OF LINCOLN", "fade picture",
                  weight=2.0), _us("g", "w", "~Illinois|ILLINOIS>LAND OF LINCOLN")),
    "us-in": (_us("nk", "wl", "INDIANA|~Indiana>IN GOD WE TRUST|CROSSROADS OF AMERICA|00",
                  "fade hills", dies="us_flat us_serif"),),
    "us-ia": (_us("nk", "lw", "IOWA>COUNTY NAME|POLK|LINN|SCOTT", "fade bands hills"),),
    "us-ks": (_us("nk", "lw", "KANSAS>TO THE STARS|", "fade seal", "seal"),),
    "us-ky": (_us("nk", "wl", "KENTUCKY|Kentucky>IN GOD WE TRUST|COUNTY|BLUEGRASS STATE|JEFFERSON",
                  "fade hills", dies="us_flat us_square"),),
    "us-la": (_us("bn", "w", "~Louisiana>SPORTSMAN'S PARADISE", "fade picture", "bird"),),
    "us-me": (_us("nk", "w", "Maine|MAINE>VACATIONLAND|Vacationland", "picture hills", "tree"),),
    "us-md": (_us("kn", "w", "~Maryland|MARYLAND>WWW.MARYLAND.GOV|Treasure the Chesapeake|",
                  "plain bands", "shield", weight=1.5),),
    "us-ma": (_us("r", "w", "Massachusetts>The Spirit of America|", dies="us_round us_square",
                  weight=1.5),),
    "us-mi": (_us("nbk", "w", "~Michigan|MICHIGAN|PURE MICHIGAN>GREAT LAKES SPLENDOR|michigan.gov|"
                  "Great Lakes", "bands fade", weight=1.5), _us("w", "b", "MICHIGAN>GREAT LAKES"),
              _us("y", "n", "MICHIGAN>WATER - WINTER WONDERLAND")),
    "us-mn": (_us("nk", "wl", "Minnesota|MINNESOTA>10,000 lakes|EXPLORE MINNESOTA", "hills bands",
                  "state"),),
    "us-ms": (_us("nk", "cl", "Mississippi|~Mississippi>HINDS|RANKIN|HARRISON", "seal fade",
                  "seal"),),
    "us-mo": (_us("nk", "wl", "MISSOURI|Missouri>SHOW-ME STATE|BICENTENNIAL", "bands fade seal",
                  "seal"),),
    "us-mt": (_us("wn", "bn", "MONTANA|Montana>TREASURE STATE|BIG SKY COUNTRY", "fade hills",
                  "state"),),
    "us-ne": (_us("nk", "wl", "NEBRASKA|Nebraska>www.nebraska.gov|", "fade seal", "seal"),),
    "us-nv": (_us("nk", "lwf", "NEVADA>THE SILVER STATE|Home Means Nevada|HOME MEANS NEVADA",
                  "mountains fade hills", "state", "us_round us_square us_flat", weight=3.0),
              _us("w", "n", "NEVADA>THE SILVER STATE"), _us("nk", "fl", "NEVADA>Protect Lake Tahoe",
              "mountains picture")),
    "us-nh": (_us("g", "we", "NEW HAMPSHIRE|New Hampshire>LIVE FREE OR DIE", "hills fade"),),
    "us-nj": (_us("k", "yc", "New Jersey>Garden State|Shore to Please", "fade plain", "state",
                  weight=2.0),),
    "us-nm": (_us("r", "y", "~New Mexico USA>Land of Enchantment", "seal", "sun"),
              _us("y", "t", "CENTENNIAL 1912-2012>NEW MEXICO USA", "plain", "sun")),
    "us-ny": (_us("n", "yo", "NEW YORK>EMPIRE STATE", "bands", "state", weight=3.0),
              _us("n", "w", "NEW YORK>EXCELSIOR|THE EMPIRE STATE|CAPITAL|COMMERCIAL", "bands plain",
                  "state", weight=3.0), _us("n", "w", "NEW YORK>", "liberty", "liberty")),
    "us-nc": (_us("n", "wl", "~First in Flight|FIRST IN FLIGHT|First in Freedom>NORTH CAROLINA",
                  "picture fade", weight=1.5),),
    "us-nd": (_us("k", "wlf", "NORTH DAKOTA>Peace Garden State|Legendary", "hills fade"),),
    "us-oh": (_us("nk", "wl", "OHIO|Ohio>BIRTHPLACE OF AVIATION|FRANKLIN|HAMILTON|25", "hills fade",
                  dies="us_flat us_square", weight=1.5),),
    "us-ok": (_us("nkw", "wlb", "OKLAHOMA>TRAVELOK.COM|NATIVE AMERICA|Explore Oklahoma",
                  "picture fade", "state"),),
    "us-or": (_us("n", "lwf", "Oregon|OREGON>", "trees mountains", "tree", weight=3.0),
              _us("y", "n", "OREGON>PACIFIC WONDERLAND"), _us("w", "tbk",
              "Oregon>CRATER LAKE|SALMON|WINE COUNTRY|KEEP OREGON GREEN", "picture")),
    "us-pa": (_us("n", "w", "PENNSYLVANIA>visitPA.com|WWW.STATE.PA.US", "pennsylvania",
                  "keystone", weight=2.0), _us("y", "b", "PENNSYLVANIA>KEYSTONE STATE",
                  emblem="keystone")),
    "us-ri": (_us("kn", "wl", "Rhode Island|RHODE ISLAND>Ocean State|OCEAN STATE", "waves"),),
    "us-sc": (_us("nk", "wl", "South Carolina|SOUTH CAROLINA>While I Breathe, I Hope|TRAVEL2SC.COM",
                  "fade bands", "tree", "us_flat us_square"),),
    "us-sd": (_us("nr", "wl", "SOUTH DAKOTA|South Dakota>GREAT FACES. GREAT PLACES.",
                  "mountains picture", dies="us_flat"),),
    "us-tn": (_us("kn", "we", "TENNESSEE|Tennessee>The Volunteer State|KNOX|SHELBY|tnvacation.com",
                  "hills fade"), _us("w", "n", "TENNESSEE>TNVACATION.COM|THE VOLUNTEER STATE",
                  emblem="seal", dies="us_flat")),
    "us-tx": (_us("k", "wl", "TEXAS>The Lone Star State", emblem="texas", weight=3.0,
                  dies="us_flat us_flat us_square us_round"),
              _us("kn", "lw", "TEXAS>The Lone Star State|THE LONE STAR STATE|", "picture bands",
                  "texas", "us_flat us_square us_round", weight=2.0),
              _us("ws", "k", "TEXAS>LONE STAR STATE", emblem="texas", dies="us_flat")),
    "us-ut": (_us("nk", "olf", "UTAH|Utah!|UTAH>LIFE ELEVATED|GREATEST SNOW ON EARTH|",
                  "desert picture"), _us("w", "k", "UTAH>", dies="us_flat us_round")),
    "us-vt": (_us("w", "g", "VERMONT>GREEN MOUNTAIN STATE|Green Mountains", emblem="tree"),),
    "us-va": (_us("n", "w", "VIRGINIA|Virginia>|VIRGINIA IS FOR LOVERS|400th Anniversary|",
                  "plain fade", dies="us_serif us_serif us_round", weight=3.0),
              _us("nk", "wly", "VIRGINIA>DONT TREAD ON ME|WILDFLOWERS|IN GOD WE TRUST",
                  "picture hills fade", "snake", "us_serif")),
    "us-wa": (_us("nk", "wl", "WASHINGTON>EVERGREEN STATE|Evergreen State", "mountains fade",
                  "dot", "us_round us_round us_flat", weight=2.0),),
    "us-wv": (_us("nk", "w", "~West Virginia|West Virginia>WILD, WONDERFUL|Wild, Wonderful",
                  "bands", dies="us_flat us_square"),),
    "us-wi": (_us("kr", "w", "WISCONSIN>America's Dairyland", "bands picture", "dot",
                  "us_flat us_square us_round"),),
    "us-wy": (_us("kn", "lwf", "WYOMING>", "mountains hills", "horse"),),
    "us": (_us("n", "w", "U.S. GOVERNMENT>FOR OFFICIAL USE ONLY|", "fade bands"),
           _us("nkgrw", "wlcyebn", "STATE|AMERICA|COUNTY|VETERAN>THE STATE|VISIT US|2014|USA",
               "plain fade bands hills picture", "star")),
    "ca-on": (_us("b", "w", "ONTARIO>YOURS TO DISCOVER|A PLACE TO GROW", emblem="crown",
                  weight=3.0),),
    "ca-qc": (_us("b", "w", "Québec>Je me souviens", emblem="dot"),),
    "ca-bc": (_us("b", "w", "~Beautiful|Beautiful>British Columbia", "waves plain", "flag"),),
    "ca-ab": (_us("r", "w", "~Alberta|Alberta>Wild Rose Country"),),
    "ca-sk": (_us("g", "w", "Saskatchewan>LAND OF LIVING SKIES", emblem="tree"),),
    "ca-mb": (_us("n", "wl", "Manitoba>FRIENDLY MANITOBA", "hills trees"),),
    "ca-ns": (_us("b", "w", "NOVA SCOTIA>CANADA'S OCEAN PLAYGROUND", emblem="ship"),),
    "ca-nb": (_us("rk", "w", "New Brunswick Nouveau>CANADA|", emblem="ship"),),
    "ca-pe": (_us("nr", "w", "Prince Edward Island>BIRTHPLACE OF CONFEDERATION", "hills waves"),),
    "ca-nl": (_us("n", "w", "Newfoundland Labrador>", "plain"),),
    "ca-yt": (_us("rb", "w", "Yukon>THE KLONDIKE", emblem="bear"),),
    "ca-nt": (_us("b", "w", "NORTHWEST TERRITORIES>SPECTACULAR|EXPLORE CANADA'S ARCTIC"),),
    "ca-nu": (_us("kn", "wl", "NUNAVUT>", "hills picture"),),
    "au": (_us("k", "yw", "|NSW|VICTORIA>NEW SOUTH WALES|VIC|QUEENSLAND|SA - THE FESTIVAL STATE",
               dies="din us_square mexico"),),
    "mx": (
        _us("k", "w", "MEXICO|JALISCO|NUEVO LEON|CDMX|PUEBLA|SONORA|BAJA CALIFORNIA|GUANAJUATO|"
            "VERACRUZ|CHIHUAHUA|SINALOA>MEXICO|BAJA CALIFORNIA|JALISCO|TAMAULIPAS|SONORA|TRASERA|"
            "DELANTERA|ESTADO DE MEXICO|MICHOACAN|CHIAPAS", "mexico mexico picture bands fade",
            "dot", "mexico mandatory us_square us_flat", weight=4.0),
        _us("kng", "wcels", "MEX|DISTRITO FEDERAL|FRONT. B.C.|SIN|QROO|YUC|COAHUILA>MEXICO|"
            "FRONTERA|TRANSPORTE PRIVADO|AUTOMOVIL", "mexico plain", "dot",
            "mexico us_round us_square"),
        _us("rg", "w", "CDMX|MEXICO>CIUDAD DE MEXICO|CAPITAL SOCIAL", "mexico fade", "sun",
            "mexico mandatory"),
    ),
}  # fmt: skip

EU_BANDS: Final[dict[str, str]] = {
    "de": "D", "fr": "F", "it": "I", "es": "E", "nl": "NL", "be": "B", "pt": "P", "pl": "PL",
    "eu-ro": "RO", "se": "S", "at": "A", "cz": "CZ", "ie": "IRL", "dk": "DK", "fi": "FIN",
    "no": "N", "gb": "GB",
}  # fmt: skip
EU_DIES: Final[dict[str, tuple[str, ...]]] = {
    "de": ("fe", "fe", "fe", "din"), "fr": ("din", "din", "euro_narrow", "uk"),
    "it": ("euro_narrow", "din"), "es": ("din", "din", "fe"), "nl": ("din", "euro_narrow"),
    "be": ("din", "euro_narrow"), "pt": ("din", "euro_narrow"), "pl": ("din", "euro_narrow"),
    "eu-ro": ("din", "din", "fe"), "se": ("euro_narrow", "din"), "at": ("din", "euro_narrow"),
    "cz": ("din", "euro_narrow"), "ie": ("din", "uk"), "dk": ("din", "euro_narrow"),
    "fi": ("euro_narrow", "din"), "no": ("euro_narrow", "fe"), "ch": ("din", "mandatory"),
    "gb": ("uk",), "in": ("din", "uk", "fe"),
}  # fmt: skip

_NEAR_CA: Final = {"us-ca": 0.68, "us-nv": 0.12, "us-az": 0.11, "us-or": 0.09}
_MIX: Final = (
    ("near", 0.3), ("us", 0.3), ("canada", 0.05), ("mx", 0.07), ("europe", 0.145), ("gb", 0.045),
    ("south", 0.08), ("else", 0.01),
)  # fmt: skip
_EUROPE: Final = {
    "de": 4, "fr": 3, "it": 2.5, "es": 2.5, "nl": 2, "be": 1, "pt": 1, "pl": 1.5, "eu-ro": 1.5,
    "se": 0.8, "at": 0.8, "cz": 0.8, "ie": 0.6, "dk": 0.6, "fi": 0.5, "no": 0.6, "ch": 0.8,
}  # fmt: skip
_STATE_WEIGHT: Final = {"us-tx": 3.0, "us-fl": 2.5, "us-ny": 2.5, "us-va": 2.0, "us-wa": 2.0,
                        "us-il": 1.6, "us-pa": 1.6, "us-nj": 1.6, "us-ut": 1.4}  # fmt: skip

REGIONS: Final[tuple[str, ...]] = (
    *(r for r in US_DESIGNS if r != "au"), *_EUROPE, "gb", "br", "ar", "in", "au",
)  # fmt: skip
"""Every region that can be drawn."""


def _pick(weights: dict[str, float], rng: np.random.Generator) -> str:
    """Draw a key by its weight."""
    total = sum(weights.values())
    left = float(rng.random()) * total
    for key, weight in weights.items():
        left -= weight
        if left < 0:
            return key
    return next(iter(weights))


def draw_region(rng: np.random.Generator) -> str:
    """Draw a region by the share that the project wants of it."""
    group = _pick(dict(_MIX), rng)
    if group == "near":
        return _pick(_NEAR_CA, rng)
    if group == "us":
        return _pick({r: _STATE_WEIGHT.get(r, 1.0) for r in US_DESIGNS
                      if r.startswith("us") and r not in _NEAR_CA}, rng)  # fmt: skip
    if group == "canada":
        return _pick({r: 4.0 if r in ("ca-on", "ca-bc") else 1.0 for r in US_DESIGNS
                      if r.startswith("ca-")}, rng)  # fmt: skip
    if group == "europe":
        return _pick(dict(_EUROPE), rng)
    if group == "south":
        return "br" if rng.random() < 0.85 else "ar"
    if group == "else":
        return "in" if rng.random() < 0.4 else "au"
    return group


def draw_design(region: str, rng: np.random.Generator) -> Design:
    """Draw one of the region's designs by weight."""
    designs = US_DESIGNS[region]
    weights = np.array([d.weight for d in designs])
    return designs[int(rng.choice(len(designs), p=weights / weights.sum()))]
