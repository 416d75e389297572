"""How LIO names a disk in the device identification page (VPD 0x83): the designators of the logical unit itself.

The page has more: those of the port and of the target (association 1 and 2, SPC-4 7.8.6.2) are other ones on every path.
"""

from vdsprovd.model import StorageIdentifier, StorageIdentifierCodeSet, StorageIdentifierType

COMPANY = 0x001405
"""The IEEE company id that LIO uses unless told otherwise."""


def naa(serial: str, company: int = COMPANY) -> StorageIdentifier:
    """NAA 6 (IEEE registered extended): the company, and the first 25 of the serial number's hexadecimal digits."""
    digits = "".join(digit for digit in serial if digit in "0123456789abcdefABCDEF")
    return StorageIdentifier(
        StorageIdentifierCodeSet.BINARY,
        StorageIdentifierType.FCPH_NAME,
        bytes.fromhex(f"6{company:06x}{digits[:25]:0<25}"),
    )


def t10(vendor: str, product: str, serial: str) -> StorageIdentifier:
    """T10 vendor id: the vendor in eight bytes, the product without its blanks, the serial number, and a NUL."""
    return StorageIdentifier(
        StorageIdentifierCodeSet.ASCII,
        StorageIdentifierType.VENDOR_ID,
        f"{vendor:<8}{product.rstrip()}:{serial}\0".encode(),
    )


def logical_unit_group(group: int) -> StorageIdentifier:
    """The ALUA logical unit group; 0 is LIO's default one, in which every disk is until somebody puts it elsewhere."""
    return StorageIdentifier(
        StorageIdentifierCodeSet.BINARY, StorageIdentifierType.LOGICAL_UNIT_GROUP, group.to_bytes(4, "big")
    )
