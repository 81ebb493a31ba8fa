/* demo/noop: the function whose start is timed. One source, native in containers, processes and threads,
 * Wasm in Faaslets. */
int main(void)
{
    return 0;
}
