import"./shop.chunk-M6S5Y42P.js";import"./shop.chunk-NOV75CWV.js";
