// Pictures of slices and maps, each on a canvas of its own size.

// grey paints a slice through a window [black, white] in modality units.
export function grey(slice, [black, white]) {
  const canvas = sheet(slice.columns, slice.rows), pen = canvas.getContext("2d"), image = pen.createImageData(slice.columns, slice.rows);
  const shades = new Uint32Array(image.data.buffer), step = 255 * slice.slope / (white - black);
  const from = 255 * (slice.intercept - black) / (white - black);
  for (let i = 0; i < shades.length; i++) {
    const shade = Math.max(0, Math.min(255, from + step * slice.stored[i])) | 0;
    shades[i] = 0xff000000 | shade << 16 | shade << 8 | shade;
  }
  pen.putImageData(image, 0, 0);
  return canvas;
}

// heat paints an activation map, strong where the model looked: clear, red, orange, yellow.
export function heat(map) {
  const canvas = sheet(map.columns, map.rows), pen = canvas.getContext("2d"), image = pen.createImageData(map.columns, map.rows);
  const most = map.values.reduce((a, b) => Math.max(a, b), 0) || 1;
  map.values.forEach((value, i) => {
    const v = value / most;
    image.data.set([255, Math.round(255 * Math.max(0, v * 1.5 - 0.5)), 0, Math.round(255 * Math.min(1, v * 1.3))], 4 * i);
  });
  pen.putImageData(image, 0, 0);
  return canvas;
}

function sheet(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

// lay draws a slice as large as the screen allows, true to its spacing, and its map above it.
export function lay(screen, slice, picture, map, warmth, strength) {
  const pen = screen.getContext("2d");
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, screen.width, screen.height);
  const [row, column] = slice.spacing[0] > 0 && slice.spacing[1] > 0 ? slice.spacing : [1, 1];
  const scale = Math.min(screen.width / (slice.columns * column), screen.height / (slice.rows * row));
  const x = scale * column, y = scale * row; // screen pixels to a slice pixel
  const left = (screen.width - slice.columns * x) / 2, top = (screen.height - slice.rows * y) / 2;
  pen.imageSmoothingEnabled = true;
  pen.imageSmoothingQuality = "high";
  pen.drawImage(picture, left, top, slice.columns * x, slice.rows * y);
  if (!map || !(strength > 0)) return;
  pen.save();
  pen.beginPath();
  pen.rect(left, top, slice.columns * x, slice.rows * y); // a map may reach beyond its slice
  pen.clip();
  pen.globalAlpha = strength;
  pen.drawImage(warmth, left + map.origin[1] * x, top + map.origin[0] * y, map.size[1] * x, map.size[0] * y);
  pen.restore();
}
