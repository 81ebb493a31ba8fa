/* resize: halves a picture and writes it as BMP. The readers and writers of formats are Debian's libstb-dev. */
#include <stdio.h>

#define STB_IMAGE_IMPLEMENTATION
#define STBI_NO_THREAD_LOCALS
#include <stb/stb_image.h>
#define STB_IMAGE_RESIZE_IMPLEMENTATION
#include <stb/stb_image_resize.h>
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>

int main(int argc, char **argv)
{
    int width, height, channels;
    if (argc != 3) {
        fprintf(stderr, "resize FROM TO\n");
        return 2;
    }
    unsigned char *from = stbi_load(argv[1], &width, &height, &channels, 3);
    if (!from) {
        fprintf(stderr, "%s: %s\n", argv[1], stbi_failure_reason());
        return 1;
    }
    int half_width = width / 2, half_height = height / 2;
    unsigned char *to = malloc((size_t)half_width * half_height * 3);
    if (!to || !stbir_resize_uint8(from, width, height, 0, to, half_width, half_height, 0, 3))
        return 1;
    if (!stbi_write_bmp(argv[2], half_width, half_height, 3, to)) {
        fprintf(stderr, "cannot write %s\n", argv[2]);
        return 1;
    }
    printf("%d x %d to %d x %d\n", width, height, half_width, half_height);
    return 0;
}
