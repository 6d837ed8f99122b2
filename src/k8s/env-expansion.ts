/** `$(VAR)` references in commands, arguments and environment values: Kubernetes' own syntax, no shell. */

/**
 * Replaces `$(NAME)` by its value; unknown names stay as they are. `$$` is an escaped `$`, anything else after `$`
 * is left alone (third_party/forked/golang/expansion).
 */
export function expandReferences(
  text: string,
  valueOf: (name: string) => string | undefined,
): { readonly text: string; readonly missing: readonly string[] } {
  const missing: string[] = [];
  const expanded = text.replaceAll(/\$(?:\$|\(([^)]*)\))/g, (match, name: string | undefined) => {
    if (name === undefined) return "$";
    const value = valueOf(name);
    if (value === undefined) missing.push(name);
    return value ?? match;
  });
  return { text: expanded, missing };
}
