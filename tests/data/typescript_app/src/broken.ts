export const x = {{ ;
