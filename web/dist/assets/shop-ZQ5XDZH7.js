import"./shop.chunk-67P3BEJW.js";import"./shop.chunk-NOV75CWV.js";
