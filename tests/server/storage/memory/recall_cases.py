"""Sixty past decisions of a fleet's operators and sixty later cases that are each like one of them.

Written before anything was measured. `CLOSE` re-words with words in common, `FAR` says the same with other words.
Six cases share a family of z-scores, so numbers alone leave a choice of six, and words alone often say nothing.
"""

# ruff: noqa: E501 - a case a line is a table that can be read

CLOSE, FAR = "close", "far"

FAMILIES: dict[str, dict[str, float]] = {
    "charging": {"TotalBatteryLevelDrop_mean": -4.5, "TotalBatteryLevelDrop_std": -3.2, "ConnectionTime_mean": 2.5},
    "drain": {"TotalBatteryLevelDrop_mean": 9.0, "TotalBatteryLevelDrop_std": 5.0, "TotalBatteryLevelDrop_change": 6.0},
    "weak": {"WiFiSignalStrength_mean": -7.5, "WiFiSignalStrength_std": 3.0, "DisconnectCount_mean": 5.5},
    "offline": {"OfflineTime_mean": 12.0, "ConnectionTime_mean": -6.0, "Download_mean": -4.0, "OfflineTime_change": 9.0},
    "storage": {"TotalFreeStorageKb_mean": -10.0, "TotalFreeStorageKb_change": -5.5, "TotalFreeStorageKb_std": 2.0},
    "download": {"Download_mean": 9.0, "Download_std": 7.5, "TotalFreeStorageKb_mean": -2.5, "Download_change": 6.5},
    "upload": {"Upload_mean": 10.5, "Upload_std": 6.0, "Upload_change": 5.0, "TotalBatteryLevelDrop_mean": 2.5},
    "flapping": {
        "DisconnectCount_mean": 14.0,
        "DisconnectCount_std": 9.0,
        "ConnectionTime_mean": -3.0,
        "OfflineTime_mean": 3.5,
    },
    "syncing": {"TotalBatteryLevelDrop_mean": 6.0, "Upload_mean": 6.5, "Download_mean": 4.5, "Download_std": 3.0},
    "idle": {"OfflineTime_mean": 7.5, "Download_mean": -5.0, "Upload_mean": -5.5, "TotalBatteryLevelDrop_mean": -3.5},
}
"""Robust z-scores by feature, by family."""

CASES: tuple[tuple[str, str, str, str, str, str], ...] = (
    # family, cohort, verdict, what was said then, what is said now, how much the two share
    ("charging", "Elo / I-Series 4 / 10", "false_alarm", "docked kiosks in the lobby, always charging", "these are the lobby kiosks, on power all day", CLOSE),
    ("charging", "Zebra / TC57 / 13", "false_alarm", "night shift leaves the handhelds in their cradles", "nobody works after ten, everything sits in the dock", FAR),
    ("charging", "Samsung / Tab Active 3 / 12", "expected", "forklift tablets are wired to the truck's battery", "tablets on the forklifts get power from the truck", CLOSE),
    ("charging", "Honeywell / CT45 / 11", "false_alarm", "spares kept topped up in the back office", "reserve units, plugged in until someone needs one", FAR),
    ("charging", "Zebra / ET45 / 12", "false_alarm", "price check stations at the end of the aisles run on mains", "price check stations never leave the mains", CLOSE),
    ("charging", "Samsung / XCover 6 / 13", "expected", "training room, phones stay on USB during the course", "class is on, all handsets hang on cables", FAR),
    ("drain", "Zebra / TC57 / 13", "true", "worn cells, these batteries are four years old", "batteries are old and worn, replace the cells", CLOSE),
    ("drain", "Zebra / MC3300 / 10", "true", "scanner beam stuck on after the firmware update", "since the new firmware the laser never switches off", FAR),
    ("drain", "Samsung / XCover 6 / 13", "true", "GPS polled every second by the delivery app", "delivery app polls GPS far too often", CLOSE),
    ("drain", "Honeywell / CT45 / 11", "false_alarm", "cold store crew, freezer at minus twenty empties any pack", "people in the frozen goods area, low temperature", FAR),
    ("drain", "Datalogic / Memor 20 / 11", "true", "brightness locked at maximum by the new profile", "new profile forces maximum brightness", CLOSE),
    ("drain", "Zebra / TC26 / 11", "false_alarm", "double shift during stocktaking, used sixteen hours", "annual inventory, staff worked around the clock", FAR),
    ("weak", "Zebra / TC57 / 13", "true", "access point above aisle 12 is dead", "the access point at aisle 12 failed", CLOSE),
    ("weak", "Honeywell / CT45 / 11", "false_alarm", "yard workers go beyond the fence where there is no coverage", "outdoors past the gate, nothing reaches that far", FAR),
    ("weak", "Zebra / MC3300 / 10", "false_alarm", "walk-in freezer with steel walls blocks the signal", "steel freezer walls, no signal gets through", CLOSE),
    ("weak", "Samsung / Tab Active 3 / 12", "true", "antenna cable torn off in the vehicle mount", "broken aerial lead on the truck bracket", FAR),
    ("weak", "Elo / I-Series 4 / 10", "true", "new metal shelving shields the checkout area", "metal shelving near the checkout shields wifi", CLOSE),
    ("weak", "Zebra / TC26 / 11", "true", "transmit power was lowered by the network team last week", "colleagues from infrastructure turned down the radios", FAR),
    ("offline", "Zebra / TC57 / 13", "expected", "store closed for refurbishment until the end of the month", "that store is closed, refurbishment goes on", CLOSE),
    ("offline", "Elo / I-Series 4 / 10", "true", "internet line of the branch was cut by diggers", "excavator hit the fibre, site has no uplink", FAR),
    ("offline", "Samsung / XCover 6 / 13", "true", "expired wifi certificate, devices cannot join", "certificate for wifi expired so they do not join", CLOSE),
    ("offline", "Honeywell / CT45 / 11", "expected", "public holiday, the whole region does not work", "bank holiday, everyone at home", FAR),
    ("offline", "Datalogic / Memor 20 / 11", "true", "SIM cards blocked by the carrier after unpaid bill", "carrier blocked the SIM cards", CLOSE),
    ("offline", "Zebra / ET45 / 12", "false_alarm", "drivers switch to flight mode on the ferry", "radio turned off by crew during the crossing", FAR),
    ("storage", "Zebra / TC57 / 13", "true", "log files are never rotated and fill the disk", "disk full of log files, no rotation", CLOSE),
    ("storage", "Samsung / Tab Active 3 / 12", "true", "proof of delivery photos are kept after upload", "pictures taken at the door pile up, nothing deletes them", FAR),
    ("storage", "Honeywell / CT45 / 11", "false_alarm", "offline maps for the new region were loaded on purpose", "we loaded offline maps of the region on purpose", CLOSE),
    ("storage", "Elo / I-Series 4 / 10", "false_alarm", "marketing videos for the season preloaded", "advertising clips for Christmas are put on beforehand", FAR),
    ("storage", "Zebra / MC3300 / 10", "true", "crash dumps of the picking app eat the space", "picking app leaves crash dumps everywhere", CLOSE),
    ("storage", "Samsung / XCover 6 / 13", "true", "staff install games and films", "private entertainment found on company phones", FAR),
    ("download", "Zebra / TC57 / 13", "expected", "android security patch rolled out by MDM", "MDM rolls out the android patch", CLOSE),
    ("download", "Samsung / Tab Active 3 / 12", "false_alarm", "new starters receive all apps on day one", "freshly enrolled units fetch their software", FAR),
    ("download", "Elo / I-Series 4 / 10", "expected", "menu boards fetch new pictures every Monday", "Monday pictures for the menu boards", CLOSE),
    ("download", "Honeywell / CT45 / 11", "true", "update loop, the same package is fetched over and over", "installation fails each time and starts again", FAR),
    ("download", "Zebra / ET45 / 12", "true", "someone streams football during the shift", "streams of football games in the shift", CLOSE),
    ("download", "Datalogic / Memor 20 / 11", "false_alarm", "catalogue refresh before the sale", "article master sent out ahead of the promotion", FAR),
    ("upload", "Samsung / XCover 6 / 13", "false_alarm", "damage photos from the hail storm claims", "hail storm, many damage photos", CLOSE),
    ("upload", "Zebra / TC57 / 13", "true", "debug tracing left on by the vendor", "supplier forgot to disable verbose diagnostics", FAR),
    ("upload", "Elo / I-Series 4 / 10", "true", "camera feed sent to an unknown address", "an unknown address receives the camera feed", CLOSE),
    ("upload", "Honeywell / CT45 / 11", "expected", "year end backup of all handhelds", "complete copy to the archive in December", FAR),
    ("upload", "Zebra / ET45 / 12", "false_alarm", "video call pilot with the head office", "pilot of video calls to head office", CLOSE),
    ("upload", "Datalogic / Memor 20 / 11", "true", "queue of scans sent again and again after server error", "backend answered 500 so messages are repeated endlessly", FAR),
    ("flapping", "Zebra / TC57 / 13", "true", "roaming between two access points every few seconds", "keeps roaming between access points", CLOSE),
    ("flapping", "Samsung / Tab Active 3 / 12", "true", "radar on the same channel forces the network to move", "airport interference, DFS hops all day", FAR),
    ("flapping", "Honeywell / CT45 / 11", "true", "bad wifi driver in the 11.20 release", "release 11.20 has a bad wifi driver", CLOSE),
    ("flapping", "Zebra / MC3300 / 10", "true", "address pool too small, leases run out", "DHCP has no free IPs left", FAR),
    ("flapping", "Zebra / TC26 / 11", "false_alarm", "lift shaft between floors drops the connection", "connection drops in the lift between floors", CLOSE),
    ("flapping", "Datalogic / Memor 20 / 11", "true", "power saving puts the radio to sleep after idle", "aggressive doze mode shuts wlan down when untouched", FAR),
    ("syncing", "Zebra / TC57 / 13", "true", "mail client in a sync loop with the wrong password", "wrong password, mail client loops", CLOSE),
    ("syncing", "Samsung / XCover 6 / 13", "true", "antivirus scans everything hourly and reports home", "security agent checks all files too frequently", FAR),
    ("syncing", "Honeywell / CT45 / 11", "false_alarm", "inventory week, counts synchronised all the time", "counts are synchronised constantly in inventory week", CLOSE),
    ("syncing", "Zebra / ET45 / 12", "true", "rogue crypto miner came with a sideloaded app", "malware from an unofficial package burns energy and traffic", FAR),
    ("syncing", "Elo / I-Series 4 / 10", "expected", "pilot of the new loyalty app in this branch", "branch pilots the loyalty app", CLOSE),
    ("syncing", "Zebra / TC26 / 11", "false_alarm", "push to talk is used by the event crew", "walkie-talkie function during the concert", FAR),
    ("idle", "Zebra / TC57 / 13", "false_alarm", "seasonal devices stored in the drawer until summer", "in the drawer until the summer season", CLOSE),
    ("idle", "Samsung / Tab Active 3 / 12", "true", "lost or stolen, last seen at the station", "somebody took it, we cannot find the unit", FAR),
    ("idle", "Honeywell / CT45 / 11", "false_alarm", "sent to the repair centre", "at the repair centre for a new screen", CLOSE),
    ("idle", "Zebra / MC3300 / 10", "expected", "retired model waiting to be recycled", "end of life hardware, goes to scrap", FAR),
    ("idle", "Datalogic / Memor 20 / 11", "false_alarm", "department moved to the new warehouse, boxes not unpacked", "boxes from the move to the new warehouse", CLOSE),
    ("idle", "Elo / I-Series 4 / 10", "expected", "self checkout closed overnight by rule", "terminals are shut when customers have left", FAR),
)  # fmt: skip
