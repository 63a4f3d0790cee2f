// Drawing of run lengths and boxes, independent of the page.
"use strict";

const COLORS = [
  "#29b6f6", "#ff7043", "#9ccc65", "#ec407a", "#ffca28", "#7e57c2", "#26a69a", "#ffa726",
  "#5c6bc0", "#d4e157", "#ef5350", "#42a5f5", "#66bb6a", "#ab47bc", "#ffee58", "#26c6da",
];

const colorOf = (classId) => COLORS[classId % COLORS.length];

// COCO's compressed counts as numbers: 6 bits a character, differences from the run before last.
function runsOf(text) {
  const runs = [];
  let number = 0, shift = 0;
  for (let k = 0; k < text.length; k++) {
    const piece = text.charCodeAt(k) - 48;
    number += (piece & 31) * 2 ** shift;
    shift += 5;
    if (piece & 32) continue;
    if (piece & 16) number -= 2 ** shift;
    runs.push(number + (runs.length > 2 ? runs[runs.length - 2] : 0));
    number = 0;
    shift = 0;
  }
  return runs;
}

// A mask as vertical strokes [x, y, length], flat.
function strokesOf(rle) {
  const height = rle.size[0], strokes = [];
  let place = 0;
  runsOf(rle.counts).forEach((length, k) => {
    if (k % 2) {
      for (let left = length, at = place; left > 0;) {
        const y = at % height, part = Math.min(left, height - y);
        strokes.push(Math.floor(at / height), y, part);
        at += part;
        left -= part;
      }
    }
    place += length;
  });
  return strokes;
}

// A mask as a picture in its class's color, with its position in the image.
function maskPicture(found) {
  const strokes = found.strokes;
  if (!strokes.length) return null;
  let top = Infinity, bottom = 0;
  for (let k = 0; k < strokes.length; k += 3) {
    top = Math.min(top, strokes[k + 1]);
    bottom = Math.max(bottom, strokes[k + 1] + strokes[k + 2]);
  }
  const left = strokes[0], right = strokes[strokes.length - 3] + 1;
  const picture = document.createElement("canvas");
  picture.width = right - left;
  picture.height = bottom - top;
  const pen = picture.getContext("2d");
  pen.fillStyle = colorOf(found.class);
  for (let k = 0; k < strokes.length; k += 3) {
    pen.fillRect(strokes[k] - left, strokes[k + 1] - top, 1, strokes[k + 2]);
  }
  return {picture, left, top};
}

// Masks, boxes and names, drawn in pixels of the image by the pen's transform.
function drawObjects(pen, objects, shown, scale, chosen) {
  if (shown.masks) {
    for (const found of objects) {
      if (!found.mask) continue;
      found.picture ??= maskPicture(found);
      if (!found.picture) continue;
      pen.globalAlpha = found === chosen ? 0.7 : 0.45;
      pen.drawImage(found.picture.picture, found.picture.left, found.picture.top);
    }
    pen.globalAlpha = 1;
  }
  for (const found of shown.boxes ? objects : []) {
    const [top, left, bottom, right] = found.box;
    pen.lineWidth = (found === chosen ? 4 : 2) / scale;
    pen.strokeStyle = colorOf(found.class);
    pen.strokeRect(left, top, right - left, bottom - top);
  }
  for (const found of shown.names ? objects : []) nameObject(pen, found, scale);
}

function nameObject(pen, found, scale) {
  const text = `${found.label} ${percent(found.confidence)}`, size = 13 / scale;
  pen.font = `600 ${size}px system-ui, sans-serif`;
  const width = pen.measureText(text).width + size / 2;
  const left = Math.max(found.box[1], 0), top = Math.max(found.box[0] - 1.4 * size, 0);
  pen.fillStyle = colorOf(found.class);
  pen.fillRect(left, top, width, 1.4 * size);
  pen.fillStyle = "#000";
  pen.textBaseline = "middle";
  pen.fillText(text, left + size / 4, top + 0.72 * size);
}

const percent = (share) => `${Math.round(100 * share)}%`;
