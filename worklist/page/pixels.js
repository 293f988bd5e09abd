// Slices as the daemon packs them: 24 bytes of head, then 16 bits a pixel, little endian (worklist/pixels.go).
export function unpack(buffer) {
  const head = new DataView(buffer);
  if (head.getUint32(0, false) !== 0x4e545331) throw new Error("this is no packed slice");
  const rows = head.getUint16(4, true), columns = head.getUint16(6, true);
  return {
    rows, columns, spacing: [head.getFloat32(8, true), head.getFloat32(12, true)],
    slope: head.getFloat32(16, true), intercept: head.getFloat32(20, true),
    stored: new Uint16Array(buffer, 24, rows * columns),
  };
}

// Shelf keeps the slices that were looked at last, within bounds, and asks for each once.
export class Shelf {
  constructor(bytes) { this.room = bytes; this.held = new Map(); this.used = 0; }

  // get gives a slice, or null when its pixels are not at hand any more.
  get(link) {
    const known = this.held.get(link);
    if (known) { // the order of a Map is its age
      this.held.delete(link);
      this.held.set(link, known);
      return known.slice;
    }
    const entry = { bytes: 0, slice: null };
    entry.slice = this.fetch(link, entry);
    this.held.set(link, entry);
    return entry.slice;
  }

  async fetch(link, entry) {
    try {
      const answer = await fetch(link);
      if (answer.status === 404) return null;
      if (!answer.ok) throw new Error("the daemon answered " + answer.status);
      const buffer = await answer.arrayBuffer();
      if (this.held.get(link) === entry) { entry.bytes = buffer.byteLength; this.used += entry.bytes; this.trim(link); }
      return unpack(buffer);
    } catch (fault) {
      this.held.delete(link); // the next look tries again
      throw fault;
    }
  }

  trim(keep) {
    for (const [link, entry] of this.held) {
      if (this.used <= this.room) return;
      if (link === keep || !entry.bytes) continue;
      this.used -= entry.bytes;
      this.held.delete(link);
    }
  }
}

// spread is a window for a slice that has none: all but its darkest and brightest half per cent.
export function spread(slice) {
  const count = new Uint32Array(65536);
  for (const v of slice.stored) count[v]++;
  const edge = slice.stored.length / 200;
  let low = 0, high = 65535;
  for (let sum = 0; low < 65535 && (sum += count[low]) < edge; low++);
  for (let sum = 0; high > low && (sum += count[high]) < edge; high--);
  return [low * slice.slope + slice.intercept, Math.max(high, low + 1) * slice.slope + slice.intercept];
}
