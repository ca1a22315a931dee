import"./shop.chunk-ALQHDMHE.js";import"./shop.chunk-NOV75CWV.js";
