import"./shop.chunk-YC63CBMK.js";import"./shop.chunk-NOV75CWV.js";
