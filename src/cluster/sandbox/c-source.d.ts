/** C files are imported as text: the launcher compiles them when it starts. */
declare module "*.c" {
  const source: string;
  export default source;
}
