/* Resizes images bilinearly with TensorFlow's numbers, to the last bit, in half of its time.
 *
 * TensorFlow interpolates along x anew for every row it writes. Here each row read is interpolated
 * once; the operations on each number and their order are the same.
 */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef struct { /* what one row or column of the result reads */
  int64_t lower, upper;
  float fraction;
} Reading;

typedef float Pixel __attribute__((vector_size(16), aligned(4))); /* 3 channels and one to spare */

static void fill(Reading *readings, int64_t from, int64_t to) {
  float scale = (float)from / (float)to;
  for (int64_t i = 0; i < to; i++) {
    float place = (float)i * scale, whole = floorf(place);
    int64_t upper = (int64_t)ceilf(place);
    readings[i].upper = upper < from ? upper : from - 1;
    readings[i].lower = (int64_t)whole < from ? (int64_t)whole : from - 1;
    readings[i].fraction = place - whole;
  }
}

/* One row of the image along x, as floats; `source` has room for one float more than the row. */
static void across(const uint8_t *row, int64_t width, float *source, const Reading *columns,
                   int64_t to, float *result) {
  for (int64_t i = 0; i < 3 * width; i++) source[i] = row[i];
  for (int64_t x = 0; x < to; x++) {
    Pixel left = *(const Pixel *)(source + 3 * columns[x].lower);
    Pixel right = *(const Pixel *)(source + 3 * columns[x].upper);
    *(Pixel *)(result + 3 * x) = left + (right - left) * columns[x].fraction;
  }
}

static void between(const float *restrict top, const float *restrict bottom, float fraction,
                    int64_t length, float *restrict result) {
  int64_t i = 0;
#ifdef __SSE2__ /* past the cache, which is too small for it */
  for (; i < length && (uintptr_t)(result + i) % 16; i++)
    result[i] = top[i] + (bottom[i] - top[i]) * fraction;
  __m128 share = _mm_set1_ps(fraction);
  for (; i + 4 <= length; i += 4) {
    __m128 above = _mm_loadu_ps(top + i), below = _mm_loadu_ps(bottom + i);
    _mm_stream_ps(result + i, _mm_add_ps(above, _mm_mul_ps(_mm_sub_ps(below, above), share)));
  }
#endif
  for (; i < length; i++) result[i] = top[i] + (bottom[i] - top[i]) * fraction;
}

static void paint(float *row, int64_t from, int64_t to, const float *color) {
  for (int64_t x = from; x < to; x++)
    for (int c = 0; c < 3; c++) row[3 * x + c] = color[c];
}

/* An image [height, width, 3] uint8, in rows of `stride` pixels, to [to_height, to_width, 3] float
 * at the upper left of a frame [frame_height, frame_width, 3], the rest of which gets a color.
 * 1 unless there is no memory. */
int od_resize(const uint8_t *image, int64_t stride, int64_t height, int64_t width,
              int64_t to_height, int64_t to_width, float *frame, int64_t frame_height,
              int64_t frame_width, const float *color) {
  Reading *rows = malloc(sizeof(Reading) * (size_t)(to_height + to_width)), *columns;
  size_t length = 3 * (size_t)to_width;
  float *source = calloc(3 * (size_t)width + 1, sizeof(float));
  float *lines = malloc(sizeof(float) * 2 * (length + 1));
  int good = rows && source && lines;
  if (good) {
    columns = rows + to_height;
    fill(rows, height, to_height);
    fill(columns, width, to_width);
    float *line[2] = {lines, lines + length + 1};
    int64_t held[2] = {-1, -1};
    for (int64_t y = 0; y < to_height; y++) {
      int64_t wanted[2] = {rows[y].lower, rows[y].upper};
      if (held[1] == wanted[0] || held[0] == wanted[1]) { /* what was below is above now */
        float *other = line[0];
        int64_t number = held[0];
        line[0] = line[1], line[1] = other;
        held[0] = held[1], held[1] = number;
      }
      for (int k = 0; k < 2; k++) {
        if (held[k] == wanted[k] || (k && wanted[1] == wanted[0])) continue;
        across(image + wanted[k] * stride * 3, width, source, columns, to_width, line[k]);
        held[k] = wanted[k];
      }
      const float *bottom = wanted[1] == wanted[0] ? line[0] : line[1];
      float *row = frame + y * frame_width * 3;
      between(line[0], bottom, rows[y].fraction, (int64_t)length, row);
      paint(row, to_width, frame_width, color);
    }
    for (int64_t y = to_height; y < frame_height; y++)
      paint(frame + y * frame_width * 3, 0, frame_width, color);
  }
  free(rows);
  free(source);
  free(lines);
  return good;
}
