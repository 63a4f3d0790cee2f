/* Decodes PNG files of masks: 8-bit gray, not interlaced, as record writers make them.
 *
 * Masks are long runs of one value. A general inflate copies such a run byte by byte, each waiting
 * for the one before; here it is filled at once, which makes decoding several times as fast.
 * Every checksum is verified. Whatever is not of the plain form, or broken, is refused: the caller
 * then takes the general decoder, which reads it or says what is wrong.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FAST_BITS = 10, MAX_BITS = 15, LITERALS = 288, DISTANCES = 30 };
enum { MAX_SIDE = 1 << 20 };

/* ---- Checksums ---- */

static uint32_t crc_table[256];

static void fill_crc_table(void) {
  for (uint32_t n = 0; n < 256; n++) {
    uint32_t c = n;
    for (int k = 0; k < 8; k++) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
    crc_table[n] = c;
  }
}

static uint32_t crc_of(const uint8_t *data, size_t size) {
  uint32_t c = 0xFFFFFFFFu;
  for (size_t i = 0; i < size; i++) c = crc_table[(c ^ data[i]) & 255] ^ (c >> 8);
  return c ^ 0xFFFFFFFFu;
}

static int is_zero_64(const uint8_t *data) {
  uint64_t found = 0, word;
  for (int i = 0; i < 64; i += 8) {
    memcpy(&word, data + i, 8);
    found |= word;
  }
  return found == 0;
}

static uint32_t adler_of(const uint8_t *data, size_t size) {
  uint64_t a = 1, b = 0;
  size_t at = 0;
  while (size - at >= 64) {
    if (is_zero_64(data + at)) {
      b += 64 * a;
    } else {
      uint32_t sum = 0, weighted = 0;
      for (uint32_t i = 0; i < 64; i++) {
        sum += data[at + i];
        weighted += (64 - i) * data[at + i];
      }
      b += 64 * a + weighted;
      a += sum;
    }
    at += 64;
    if ((at & 4095) == 0) {
      a %= 65521;
      b %= 65521;
    }
  }
  for (; at < size; at++) {
    a += data[at];
    b += a;
  }
  return (uint32_t)(b % 65521) << 16 | (uint32_t)(a % 65521);
}

/* ---- Inflate (RFC 1950 and 1951) ---- */

typedef struct {
  const uint8_t *next, *end;
  uint64_t bits;
  int count; /* bits that are there */
  int over;  /* bytes read beyond the end, as zeros */
} Reader;

typedef struct {
  uint16_t fast[1 << FAST_BITS]; /* symbol << 4 | length; 0 where the code is longer */
  uint16_t count[MAX_BITS + 1];  /* codes of each length */
  uint16_t symbol[LITERALS];     /* symbols in the order of their codes */
} Code;

static void refill(Reader *in) {
  while (in->count <= 56) {
    uint64_t byte = 0;
    if (in->next < in->end)
      byte = *in->next++;
    else
      in->over++;
    in->bits |= byte << in->count;
    in->count += 8;
  }
}

static uint32_t take(Reader *in, int n) { /* n <= 16 */
  if (in->count < n) refill(in);
  uint32_t value = (uint32_t)(in->bits & ((1u << n) - 1));
  in->bits >>= n;
  in->count -= n;
  return value;
}

/* Whether lengths make a code that is complete, or holds one symbol at most. */
static int make_code(Code *code, const uint8_t *lengths, int n) {
  uint16_t offset[MAX_BITS + 2] = {0}, next[MAX_BITS + 2] = {0};
  memset(code->count, 0, sizeof code->count);
  memset(code->fast, 0, sizeof code->fast);
  for (int i = 0; i < n; i++) code->count[lengths[i]]++;
  int used = n - code->count[0];
  code->count[0] = 0;
  int left = 1;
  for (int len = 1; len <= MAX_BITS; len++) {
    left = (left << 1) - code->count[len];
    if (left < 0) return 0;
    offset[len + 1] = offset[len] + code->count[len];
    next[len + 1] = (uint16_t)((next[len] + code->count[len]) << 1);
  }
  if (left > 0 && !(used == 0 || (used == 1 && code->count[1] == 1))) return 0;
  for (int i = 0; i < n; i++) {
    int len = lengths[i];
    if (!len) continue;
    code->symbol[offset[len]++] = (uint16_t)i;
    uint32_t value = next[len]++, reversed = 0;
    if (len > FAST_BITS) continue;
    for (int k = 0; k < len; k++) reversed |= (value >> k & 1) << (len - 1 - k);
    for (; reversed < 1 << FAST_BITS; reversed += 1u << len)
      code->fast[reversed] = (uint16_t)(i << 4 | len);
  }
  return 1;
}

static int symbol_of(Reader *in, const Code *code) { /* -1 where no code fits */
  if (in->count < MAX_BITS) refill(in);
  uint16_t entry = code->fast[in->bits & ((1 << FAST_BITS) - 1)];
  if (entry) {
    in->bits >>= entry & 15;
    in->count -= entry & 15;
    return entry >> 4;
  }
  int value = 0, first = 0, index = 0;
  for (int len = 1; len <= MAX_BITS; len++) {
    value |= (int)take(in, 1);
    int count = code->count[len];
    if (value - count < first) return code->symbol[index + (value - first)];
    index += count;
    first = (first + count) << 1;
    value <<= 1;
  }
  return -1;
}

static int read_codes(Reader *in, Code *literal, Code *distance) {
  static const uint8_t order[19] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                    11, 4,  12, 3, 13, 2, 14, 1, 15};
  uint8_t lengths[LITERALS + 32] = {0};
  int literals = (int)take(in, 5) + 257, distances = (int)take(in, 5) + 1;
  int given = (int)take(in, 4) + 4;
  if (literals > 286 || distances > DISTANCES) return 0;
  for (int i = 0; i < given; i++) lengths[order[i]] = (uint8_t)take(in, 3);
  if (!make_code(literal, lengths, 19)) return 0;
  memset(lengths, 0, 19);
  for (int i = 0; i < literals + distances;) {
    int symbol = symbol_of(in, literal);
    if (symbol < 0) return 0;
    if (symbol < 16) {
      lengths[i++] = (uint8_t)symbol;
      continue;
    }
    if (symbol == 16 && i == 0) return 0;
    uint8_t value = symbol == 16 ? lengths[i - 1] : 0;
    int times = symbol == 16 ? 3 + (int)take(in, 2)
                             : symbol == 17 ? 3 + (int)take(in, 3) : 11 + (int)take(in, 7);
    if (i + times > literals + distances) return 0;
    while (times--) lengths[i++] = value;
  }
  if (!lengths[256]) return 0; /* no end of the block */
  return make_code(literal, lengths, literals) &&
         make_code(distance, lengths + literals, distances);
}

static void fixed_codes(Code *literal, Code *distance) {
  uint8_t lengths[LITERALS];
  for (int i = 0; i < LITERALS; i++)
    lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
  make_code(literal, lengths, LITERALS);
  memset(lengths, 5, 32);
  make_code(distance, lengths, 32);
}

/* Writes one compressed block; returns its new end in `out`, or 0. */
static size_t inflate_block(Reader *in, const Code *literal, const Code *distance, uint8_t *out,
                            size_t at, size_t size) {
  static const uint16_t base[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                    31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
  static const uint8_t extra[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                    2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
  static const uint16_t far[30] = {1,   2,   3,   4,   5,   7,    9,    13,   17,   25,
                                   33,  49,  65,  97,  129, 193,  257,  385,  513,  769,
                                   1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
  for (;;) {
    int symbol = symbol_of(in, literal);
    if (symbol == 256) return in->over > 8 ? 0 : at;
    if (symbol < 0 || symbol > 285 || in->over > 8) return 0;
    if (symbol < 256) {
      if (at == size) return 0;
      out[at++] = (uint8_t)symbol;
      continue;
    }
    size_t length = base[symbol - 257] + take(in, extra[symbol - 257]);
    symbol = symbol_of(in, distance);
    if (symbol < 0 || symbol >= DISTANCES) return 0;
    size_t back = far[symbol] + (symbol < 4 ? 0 : take(in, symbol / 2 - 1));
    if (back > at || length > size - at) return 0;
    if (back == 1) {
      memset(out + at, out[at - 1], length);
    } else if (back >= length) {
      memcpy(out + at, out + at - back, length);
    } else {
      for (size_t i = 0; i < length; i++) out[at + i] = out[at + i - back];
    }
    at += length;
  }
}

/* Whether a zlib stream holds exactly `size` bytes, which go to `out`. */
static int inflate_all(const uint8_t *data, size_t length, uint8_t *out, size_t size) {
  if (length < 6 || (data[0] & 15) != 8 || data[0] >> 4 > 7 || data[1] & 32) return 0;
  if ((data[0] << 8 | data[1]) % 31) return 0;
  Reader in = {data + 2, data + length, 0, 0, 0};
  Code literal, distance;
  size_t at = 0;
  int last;
  do {
    last = (int)take(&in, 1);
    int kind = (int)take(&in, 2);
    if (kind == 3) return 0;
    if (kind == 0) {
      take(&in, in.count & 7);
      uint32_t stored = take(&in, 16);
      if (stored != (take(&in, 16) ^ 0xFFFF) || stored > size - at) return 0;
      while (stored--) out[at++] = (uint8_t)take(&in, 8);
      if (in.over > 8) return 0;
      continue;
    }
    if (kind == 1)
      fixed_codes(&literal, &distance);
    else if (!read_codes(&in, &literal, &distance))
      return 0;
    size_t end = inflate_block(&in, &literal, &distance, out, at, size);
    if (!end) return 0;
    at = end;
  } while (!last);
  if (at != size) return 0;
  take(&in, in.count & 7);
  uint32_t sum = 0;
  for (int i = 0; i < 4; i++) sum = sum << 8 | take(&in, 8);
  /* what was read beyond the end must all still be there */
  return in.over * 8 <= in.count && sum == adler_of(out, size);
}

/* ---- PNG ---- */

static uint32_t word_at(const uint8_t *data) {
  return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

/* Height and width of a plain file, 0 where it is none. */
static int read_header(const uint8_t *png, size_t length, uint32_t *height, uint32_t *width) {
  static const uint8_t start[16] = {0x89, 'P', 'N', 'G', 13, 10, 26, 10,
                                    0,    0,   0,   13,  'I', 'H', 'D', 'R'};
  static const uint8_t plain[5] = {8, 0, 0, 0, 0};
  if (length < 57 || memcmp(png, start, 16) || memcmp(png + 24, plain, 5)) return 0;
  *width = word_at(png + 16);
  *height = word_at(png + 20);
  if (!*width || !*height || *width > MAX_SIDE || *height > MAX_SIDE) return 0;
  return crc_of(png + 12, 17) == word_at(png + 29);
}

/* The content of all IDAT chunks in one piece: inside `png`, or in `*joined`, to be freed. */
static const uint8_t *read_pixels(const uint8_t *png, size_t length, size_t *size,
                                  uint8_t **joined) {
  const uint8_t *found = NULL;
  size_t at = 33;
  *size = 0;
  for (;;) {
    if (length - at < 12) return NULL;
    size_t content = word_at(png + at);
    const uint8_t *kind = png + at + 4;
    if (content > length - at - 12) return NULL;
    if (crc_of(kind, content + 4) != word_at(kind + 4 + content)) return NULL;
    if (!memcmp(kind, "IEND", 4)) return found;
    if (!memcmp(kind, "IDAT", 4)) {
      if (found && !*joined) {
        *joined = malloc(length);
        if (!*joined) return NULL;
        memcpy(*joined, found, *size);
        found = *joined;
      }
      if (*joined)
        memcpy(*joined + *size, kind + 4, content);
      else
        found = kind + 4;
      *size += content;
    } else if (!(kind[0] & 32) || !memcmp(kind, "tRNS", 4)) {
      return NULL; /* critical chunks that gray files do not have */
    }
    at += 12 + content;
  }
}

static uint8_t nearest(int left, int up, int corner) { /* Paeth */
  int guess = left + up - corner;
  int a = abs(guess - left), b = abs(guess - up), c = abs(guess - corner);
  return (uint8_t)(a <= b && a <= c ? left : b <= c ? up : corner);
}

/* Undoes the filter of one row in place; `above` is NULL for the first one. */
static int unfilter(uint8_t *row, const uint8_t *above, size_t width, int filter) {
  switch (filter) {
    case 0:
      return 1;
    case 1:
      for (size_t x = 1; x < width; x++) row[x] = (uint8_t)(row[x] + row[x - 1]);
      return 1;
    case 2:
      for (size_t x = 0; above && x < width; x++) row[x] = (uint8_t)(row[x] + above[x]);
      return 1;
    case 3:
      for (size_t x = 0; x < width; x++)
        row[x] = (uint8_t)(row[x] + ((x ? row[x - 1] : 0) + (above ? above[x] : 0)) / 2);
      return 1;
    case 4:
      for (size_t x = 0; x < width; x++)
        row[x] = (uint8_t)(row[x] + nearest(x ? row[x - 1] : 0, above ? above[x] : 0,
                                            x && above ? above[x - 1] : 0));
      return 1;
    default:
      return 0;
  }
}

typedef struct { /* a mask in its frame */
  size_t top, left, height, width;
} Place;

/* Decodes one file into its place of a frame of zeros; scratch holds height * (width + 1) bytes. */
static int decode_one(const uint8_t *png, size_t length, Place place, size_t frame_width,
                      uint8_t *scratch, uint8_t *frame) {
  uint8_t *joined = NULL;
  size_t size;
  const uint8_t *pixels = read_pixels(png, length, &size, &joined);
  int good = pixels && inflate_all(pixels, size, scratch, place.height * (place.width + 1));
  free(joined);
  const uint8_t *above = NULL;
  for (size_t y = 0; good && y < place.height; y++) {
    uint8_t *row = scratch + y * (place.width + 1);
    good = unfilter(row + 1, above, place.width, row[0]);
    above = row + 1;
    uint8_t *line = frame + (place.top + y) * frame_width + place.left;
    for (size_t x = 0; x < place.width; x++) line[x] = above[x] != 0;
  }
  return good;
}

/* Height and width of a plain file; 1 where it is one. */
int od_size(const uint8_t *png, size_t length, uint32_t *height, uint32_t *width) {
  fill_crc_table();
  return read_header(png, length, height, width);
}

/* Where a file's mask lies in a frame; 0 where the file is not plain, or reaches out of it.
 * `corner` is the (row, column) of its first pixel; NULL: it fills the frame. */
static int place_of(const uint8_t *png, size_t length, const int64_t *corner, size_t height,
                    size_t width, Place *place) {
  uint32_t own_height, own_width;
  if (!read_header(png, length, &own_height, &own_width)) return 0;
  if (!corner && (own_height != height || own_width != width)) return 0;
  int64_t top = corner ? corner[0] : 0, left = corner ? corner[1] : 0;
  if (top < 0 || left < 0) return 0;
  if (top > (int64_t)height - own_height || left > (int64_t)width - own_width) return 0;
  *place = (Place){(size_t)top, (size_t)left, own_height, own_width};
  return 1;
}

/* `count` files to masks of 0 and 1, [count, height, width], which hold zeros before.
 * `corners`: [count, 2] or NULL, see `place_of`. 1 if all files are plain and whole. */
int od_decode(const uint8_t *const *pngs, const size_t *lengths, int count, size_t height,
              size_t width, const int64_t *corners, uint8_t *masks) {
  fill_crc_table();
  uint8_t *scratch = malloc(height * (width + 1));
  int good = scratch != NULL;
  for (int i = 0; good && i < count; i++) {
    Place place;
    good = place_of(pngs[i], lengths[i], corners ? corners + 2 * i : NULL, height, width, &place) &&
           decode_one(pngs[i], lengths[i], place, width, scratch, masks + i * height * width);
  }
  free(scratch);
  return good;
}

/* The least rectangle of a mask [height, width] that holds all of its object; empty of none. */
static Place extent_of(const uint8_t *mask, size_t height, size_t width) {
  size_t top = height, bottom = 0, left = width, right = 0;
  for (size_t y = 0; y < height; y++) {
    const uint8_t *row = mask + y * width, *first = memchr(row, 1, width);
    if (!first) continue;
    size_t from = (size_t)(first - row), to = width;
    while (!row[to - 1]) to--;
    if (top == height) top = y;
    bottom = y + 1;
    if (from < left) left = from;
    if (to > right) right = to;
  }
  return bottom ? (Place){top, left, bottom - top, right - left} : (Place){0, 0, 0, 0};
}

/* As `od_decode`, but of each mask only its extent, one after the other, goes to `parts` (room for
 * all masks whole); `extents` [count, 4] says (row, column, height, width) of each. */
int od_decode_cut(const uint8_t *const *pngs, const size_t *lengths, int count, size_t height,
                  size_t width, const int64_t *corners, uint8_t *parts, int64_t *extents) {
  fill_crc_table();
  uint8_t *scratch = malloc(height * (width + 1)), *mask = malloc(height * width);
  int good = scratch && mask;
  for (int i = 0; good && i < count; i++) {
    const int64_t *corner = corners ? corners + 2 * i : NULL;
    Place place;
    good = place_of(pngs[i], lengths[i], corner, height, width, &place);
    if (!good) break;
    Place alone = {0, 0, place.height, place.width};
    good = decode_one(pngs[i], lengths[i], alone, place.width, scratch, mask);
    Place extent = extent_of(mask, place.height, place.width);
    for (size_t y = 0; y < extent.height; y++, parts += extent.width)
      memcpy(parts, mask + (extent.top + y) * place.width + extent.left, extent.width);
    int64_t *found = extents + 4 * i;
    found[0] = (int64_t)(place.top + extent.top), found[1] = (int64_t)(place.left + extent.left);
    found[2] = (int64_t)extent.height, found[3] = (int64_t)extent.width;
  }
  free(scratch);
  free(mask);
  return good;
}
