"""What the kernel counts of disks, logical units and targets: one attribute of configfs a number.

The counters begin with the object in the kernel, so a boot resets them, and a LUN that is associated anew has new ones in
its target. Of bytes the kernel shows whole MiB. Which attributes there are depends on the kernel: none of them is needed.
"""

from pathlib import Path

from vdsprovd.hardware import Count, Disk, TargetNode, Unit
from vdsprovd.hardware.lio import configfs

_MIB = 1 << 20
_DISK = {
    Count.COMMANDS: ("scsi_lu/num_cmds", 1),
    Count.READ: ("scsi_lu/read_mbytes", _MIB),
    Count.WRITTEN: ("scsi_lu/write_mbytes", _MIB),
    Count.RESETS: ("scsi_lu/resets", 1),
    Count.ABORTS: ("scsi_tgt_dev/aborts_complete", 1),
}
_UNIT = {
    Count.COMMANDS: ("scsi_tgt_port/in_cmds", 1),
    Count.READ: ("scsi_tgt_port/read_mbytes", _MIB),
    Count.WRITTEN: ("scsi_tgt_port/write_mbytes", _MIB),
}
_TARGET = {
    Count.SESSIONS: ("iscsi_instance/sessions", 1),
    Count.LOGINS: ("iscsi_login_stats/accepts", 1),
    Count.NOT_AUTHENTICATED: ("iscsi_login_stats/authenticate_fails", 1),
    Count.NOT_AUTHORIZED: ("iscsi_login_stats/authorize_fails", 1),
    Count.NOT_NEGOTIATED: ("iscsi_login_stats/negotiate_fails", 1),
    Count.OTHER_REFUSALS: ("iscsi_login_stats/other_fails", 1),
    Count.DIGEST_ERRORS: ("iscsi_sess_err/digest_errors", 1),
    Count.CONNECTION_ERRORS: ("iscsi_sess_err/cxn_errors", 1),
    Count.FORMAT_ERRORS: ("iscsi_sess_err/format_errors", 1),
    Count.ABNORMAL_LOGOUTS: ("iscsi_logout_stats/abnormal_logouts", 1),
}


def count(of: Disk | Unit | TargetNode, what: Count) -> int | None:
    """What was counted; None for what this kernel does not count, and when the object is not there."""
    folder: str | Path
    match of:
        case Disk(lun, number):
            folder, counted = f"{configfs.disk(lun, number)}/statistics", _DISK
        case Unit(target, tag, index):
            folder, counted = f"{configfs.group(target, tag)}/lun/lun_{index}/statistics", _UNIT
        case TargetNode(target):
            folder, counted = f"{configfs.ISCSI}/{target}/fabric_statistics", _TARGET
    if what not in counted:
        return None
    attribute, unit = counted[what]
    try:
        return int(configfs.read(f"{folder}/{attribute}")) * unit
    except (OSError, ValueError):
        return None
