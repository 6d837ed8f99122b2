/** Where in a custom resource a value stands, as field errors name it. */

export function fieldPath(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

export function itemPath(path: string, index: number): string {
  return `${path}[${index}]`;
}
