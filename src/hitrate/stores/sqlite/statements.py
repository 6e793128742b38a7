"""SQL that several files use; other statements stand in the file that uses them."""

from hitrate.stores.sqlite.rows import ROW_OVERHEAD

BASE = "SELECT base FROM hitrate_namespaces WHERE name = ?"
AT_SLOT = f"SELECT id, key, length(key) + length(payload) + {ROW_OVERHEAD} FROM hitrate_entries WHERE slot = ?"
INSERT = "INSERT INTO hitrate_entries VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?)"
UPDATE = """UPDATE hitrate_entries SET expiry = ?, seconds = ?, checksum = ?, encoding = ?, payload = ? WHERE id = ?"""
SET_TOTALS = """UPDATE hitrate_entries SET total_entries = ?, total_bytes = ?
    WHERE id = (SELECT max(id) FROM hitrate_entries)"""
TIMES = "CASE typeof(e.seconds) WHEN 'text' THEN NULL ELSE e.seconds END"  # a text that is no UTF-8 would raise
SIZED = f"SELECT id, length(key) + length(payload) + {ROW_OVERHEAD} FROM hitrate_entries"
