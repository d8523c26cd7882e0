"""What each part of the report does, for a reader who does not know the software."""

WORDS = {
    "pixels": (
        "A mask hides a part of the picture. Whatever is under it, what leaves the device must be "
        "the same. So masks were laid over pictures, what they hide was replaced by noise, by "
        "other plates, by black and by white, and the results were compared."
    ),
    "runs": (
        "The same for the whole device: two runs of which one has other vehicles under the mask. "
        "Everything that leaves was compared byte by byte: messages, status, log, counters, files. "
        "In a control the mask is smaller than the device claims; that must be found out."
    ),
    "street": (
        "Simulated vehicles drive into the premises, out of them, stop at the gate, turn round, "
        "pass close by, and hide behind trucks. Not one read of a vehicle that touched the "
        "premises may leave: each that does is a leak. So that this is not reached by reading "
        "nothing, the reads of all other vehicles that still leave are counted as well."
    ),
    "grid": (
        "A random test may miss the one way that leaks. On a small grid all ways of two vehicles "
        "can be tried, without exception, with a small and with a larger zone. The larger zone "
        "must never let a read through that the smaller one held back."
    ),
    "residue": (
        "Plates that must not leave were shown to the device, which was killed at random moments. "
        "Then every byte that it left was searched for them: disk, database, log, messages, "
        "memory dump."
    ),
    "view": (
        "A mask is right only while the camera looks where it looked when the mask was drawn. The "
        "camera was shifted, covered, blurred, turned and frozen: reading must stop within "
        "seconds. And a day of sun, dusk, night, rain and fog went by: that must not stop it."
    ),
    "mutants": (
        "Are the tests good enough to notice a mistake? Into the code that decides what leaves, "
        "one small mistake at a time was put, and the tests were run. A mistake that no test "
        "notices is listed, or it is said why it changes nothing."
    ),
}
